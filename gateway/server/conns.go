package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conns bounds the connections of one listener: of one address, and in all with a
// reserve for addresses that have few, which is where probes and administrators come
// from. A connection on which nothing has been asked yet, or nothing is asked any more,
// gives way when there are too many.
type conns struct {
	Max     int                   // in all
	Each    int                   // of one address
	Trusted func(netip.Addr) bool // proxies, whose connections are many callers'
	now     func() time.Time
	unread  func(net.Conn) bool // whether something has come that was not read yet

	bursts, handshakes *allowance // of addresses

	mu    sync.Mutex // guards what follows
	open  int
	fresh *list.List // of *conn: no request yet, the oldest first
	idle  *list.List // of *conn: between two requests
	peers map[netip.Addr]*peer
}

// peer is an address with connections.
type peer struct {
	open        int
	fresh, idle *list.List
}

// conn is a connection and its place among the others. What it is in is guarded by the
// lock of conns.
type conn struct {
	net.Conn
	all   *conns
	addr  netip.Addr
	since time.Time     // in this state
	idle  bool          // in the idle ones
	here  *list.Element // in fresh or idle of all, nil while a request is served
	there *list.Element // in those of its peer
	gone  bool
	heard atomic.Bool // something has come over it
	hello atomic.Bool // a ClientHello has come
	waits atomic.Bool // for its handshake
	pace  pace
}

const (
	few         = 4   // connections of an address that the reserve is for
	crowd       = 256 // connections of one address that are fresh, or idle, before they must hurry
	crowds      = 4 * crowd
	mute        = 2 * crowd        // connections of one address that are fresh before one that has not said anything in time gives way
	mostMute    = 2 * mute         // before one that has not said anything yet does
	speakWithin = time.Second / 4  // in which a client says something that opens many connections and then uses them
	hurry       = time.Second      // for the first request then
	dawdle      = 10 * time.Second // for the next one
	reserve     = 16               // one in so many places is in the reserve
)

func newConns(max, each int, trusted func(netip.Addr) bool) *conns {
	return &conns{
		Max: max, Each: each, Trusted: trusted, now: time.Now, unread: unread,
		bursts: newAllowance(burstEvery, burstAhead), handshakes: newAllowance(handshakeEvery, handshakeAhead),
		fresh: list.New(), idle: list.New(), peers: map[netip.Addr]*peer{},
	}
}

// listen returns a listener whose connections are bounded.
func (cs *conns) listen(l net.Listener) net.Listener { return &within{l, cs} }

type within struct {
	net.Listener
	conns *conns
}

// Accept implements net.Listener. A connection for which there is no room is closed.
func (w *within) Accept() (net.Conn, error) {
	for {
		nc, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := w.conns.enter(nc); c != nil {
			return c, nil
		}
		connsRefused.Inc()
		_ = nc.Close() // there is no room for it
	}
}

// enter finds a place for a connection, nil when there is none. Those that give way
// are closed.
func (cs *conns) enter(nc net.Conn) *conn {
	c := &conn{Conn: nc, all: cs, addr: addrOf(nc.RemoteAddr().String())}
	cs.mu.Lock()
	out, ok := cs.makeRoom(c.addr)
	if ok {
		cs.open++
		cs.peer(c.addr).open++
		cs.put(c, cs.fresh)
	}
	cs.mu.Unlock()
	for _, old := range out {
		connsEvicted.Inc()
		_ = old.Conn.Close() // its reader ends, and Close of conn does nothing more
	}
	if !ok {
		return nil
	}
	return c
}

// makeRoom takes out whoever has been silent for too long, and whoever must give way
// for one more connection of an address. The lock is held.
func (cs *conns) makeRoom(a netip.Addr) (out []*conn, ok bool) {
	p, now := cs.peer(a), cs.now()
	defer cs.forget(a)
	out = cs.expire(out, cs.fresh, crowds, now.Add(-hurry))
	out = cs.expire(out, p.fresh, crowd, now.Add(-hurry))
	out = cs.expire(out, cs.idle, crowds, now.Add(-dawdle))
	out = cs.expire(out, p.idle, crowd, now.Add(-dawdle))
	if !cs.trusted(a) {
		out = cs.hush(out, p.fresh, mute, now.Add(-speakWithin))
		out = cs.hush(out, p.fresh, mostMute, now)
	}
	if p.open >= cs.Each && !cs.trusted(a) {
		if out, ok = cs.oldest(out, p.fresh, p.idle); !ok {
			return out, false
		}
	}
	full := cs.Max
	if p.open >= few {
		full -= cs.Max / reserve
	}
	if cs.open < full {
		return out, true
	}
	return cs.oldest(out, cs.fresh, cs.idle)
}

func (cs *conns) trusted(a netip.Addr) bool { return cs.Trusted != nil && cs.Trusted(a) }

// expire takes out what has been in a crowded list since before a time. The lock is
// held.
func (cs *conns) expire(out []*conn, l *list.List, most int, before time.Time) []*conn {
	for l.Len() > most && !l.Front().Value.(*conn).since.After(before) {
		if c := cs.silent(l); c != nil {
			cs.leave(c)
			out = append(out, c)
		}
	}
	return out
}

// spared bounds how many connections are looked at for one that must give way.
const spared = 64

// oldest takes out the oldest of the first list that has any. The lock is held.
func (cs *conns) oldest(out []*conn, lists ...*list.List) ([]*conn, bool) {
	for _, l := range lists {
		for range min(l.Len(), spared) {
			if c := cs.silent(l); c != nil {
				cs.leave(c)
				return append(out, c), true
			}
		}
	}
	return out, false
}

// hush takes out of a list, until there is room for one more, the oldest connections over
// which nothing has come at all and that have been there since before a time. The lock is held.
func (cs *conns) hush(out []*conn, l *list.List, most int, before time.Time) []*conn {
	for e, n := l.Front(), 0; e != nil && n < spared && l.Len() >= most; n++ {
		c := e.Value.(*conn)
		if c.since.After(before) {
			break
		}
		e = e.Next()
		if !c.heard.Load() && !cs.unread(c.Conn) {
			cs.leave(c)
			out = append(out, c)
		}
	}
	return out
}

// silent is the oldest connection of a list, nil when something has come over it that
// nobody has read yet, or it waits for its handshake: its client is not silent, this process
// is late. It goes to the end of its list then. The lock is held.
func (cs *conns) silent(l *list.List) *conn {
	c := l.Front().Value.(*conn)
	if !c.waits.Load() && !cs.unread(c.Conn) {
		return c
	}
	cs.put(c, cs.listOf(c))
	return nil
}

// listOf is which of the two lists of all a connection is in. The lock is held.
func (cs *conns) listOf(c *conn) *list.List {
	if c.idle {
		return cs.idle
	}
	return cs.fresh
}

// peer returns what is known of an address. The lock is held.
func (cs *conns) peer(a netip.Addr) *peer {
	p := cs.peers[a]
	if p == nil {
		p = &peer{fresh: list.New(), idle: list.New()}
		cs.peers[a] = p
	}
	return p
}

// forget drops an address without connections. The lock is held.
func (cs *conns) forget(a netip.Addr) {
	if p := cs.peers[a]; p != nil && p.open == 0 {
		delete(cs.peers, a)
	}
}

// put puts a connection at the end of a list of all, and of its peer's like it; nil
// takes it off both. The lock is held.
func (cs *conns) put(c *conn, l *list.List) {
	p := cs.peer(c.addr)
	if c.here != nil {
		cs.fresh.Remove(c.here) // of the two lists, only that which it is in removes it
		cs.idle.Remove(c.here)
		p.fresh.Remove(c.there)
		p.idle.Remove(c.there)
		c.here, c.there = nil, nil
	}
	c.since, c.idle = cs.now(), l == cs.idle
	switch l {
	case cs.fresh:
		c.here, c.there = l.PushBack(c), p.fresh.PushBack(c)
	case cs.idle:
		c.here, c.there = l.PushBack(c), p.idle.PushBack(c)
	}
}

// leave gives the place of a connection back. The lock is held.
func (cs *conns) leave(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	cs.put(c, nil)
	cs.open--
	cs.peer(c.addr).open--
	cs.forget(c.addr)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.pace.wait(c.all.now)
	n, err := c.Conn.Read(p)
	c.pace.read(n)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.pace.pay(n / paceAnswer)
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.all.mu.Lock()
	c.all.leave(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// under is what a connection of the HTTP server's is here, nil for another listener's.
func under(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// state follows what the HTTP server says of a connection.
func (cs *conns) state(nc net.Conn, s http.ConnState) {
	c := under(nc)
	if c == nil {
		return
	}
	if s == http.StateIdle && !cs.trusted(c.addr) { // a proxy's frames are its own, and many callers wait for it
		now := cs.now()
		c.pace.idle(now, func() bool { _, ok := cs.bursts.take(c.addr, now, 0); return ok })
	}
	if s == http.StateClosed {
		c.ended(nc)
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case c.gone:
	case s == http.StateActive:
		cs.put(c, nil)
	case s == http.StateIdle:
		cs.put(c, cs.idle)
	}
}

// crowded reports whether the other end of a request has so many connections that wait
// for their next one that it is better off without one that has been refused: they would
// only be kept for the time in which a client uses them again.
func (cs *conns) crowded(r *http.Request) bool {
	a := addrOf(r.RemoteAddr)
	if cs.trusted(a) {
		return false
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	p := cs.peers[a]
	return p != nil && p.idle.Len() >= crowd
}

// count is how many connections are open.
func (cs *conns) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.open
}

// addrOf is the address of a connection's other end; IPv6 is counted by /64.
func addrOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is in range
		a = p.Addr()
	}
	return a
}

// Connections that a listener has when nothing is configured: as many as the open
// files allow and a process can serve, half of them of one address; adminConns on the
// administrators' listener.
const (
	mostConns  = 20_000
	adminConns = 256
)

// boundConnections makes the bounds of the callers' listener. A quarter of the open
// files is left for Vault, logs and administrators.
func (g *Server) boundConnections() {
	most := g.cfg.MaxConns
	if most == 0 {
		most = mostConns
		if files := maxFiles(); files > 0 {
			most = min(most, files*3/4)
		}
	}
	each := g.cfg.MaxConnsEach
	if each == 0 {
		each = max(most/2, 1)
	}
	g.conns = newConns(most, each, g.auth.Trusts)
	g.meter.Gauge("portcullis_connections", func() float64 { return float64(g.conns.count()) })
	g.meter.Gauge("portcullis_connections_limit", func() float64 { return float64(most) })
}

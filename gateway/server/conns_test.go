package server

import (
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a connection from an address. It only knows whether it was closed.
type wire struct {
	net.Conn
	from   string
	closed bool
}

func (w *wire) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(w.from), 1))
}

func (w *wire) Close() error {
	w.closed = true
	return nil
}

// arrive has n connections come from an address and returns those that found a place.
func arrive(cs *conns, from string, n int) (in []*conn) {
	for range n {
		if c := cs.enter(&wire{from: from}); c != nil {
			in = append(in, c)
		}
	}
	return in
}

func busy(cs *conns, in []*conn) {
	for _, c := range in {
		cs.state(c, http.StateActive)
	}
}

func TestOneAddressLeavesPlacesToOthers(t *testing.T) {
	cs := newConns(100, 40, nil)
	in := arrive(cs, "192.0.2.1", 40)
	busy(cs, in)
	if got := len(arrive(cs, "192.0.2.1", 10)); got != 0 {
		t.Errorf("%d connections over the share of an address found a place", got)
	}
	if got := len(arrive(cs, "192.0.2.2", 10)); got != 10 {
		t.Errorf("of another address %d found a place, want 10", got)
	}
	_ = in[0].Close()
	_ = in[0].Close() // gives back once
	if got := len(arrive(cs, "192.0.2.1", 10)); got == 0 {
		t.Error("a place that was given back is not there")
	}
}

func TestTheReserveIsForWhoHasFew(t *testing.T) {
	cs := newConns(160, 160, nil)
	busy(cs, arrive(cs, "192.0.2.1", 150))
	if got := len(arrive(cs, "192.0.2.1", 50)); cs.count() > 150 {
		t.Errorf("one address has %d connections and %d more places were found, want 10 left to others", cs.count(), got)
	}
	if got := len(arrive(cs, "192.0.2.9", 2)); got != 2 {
		t.Errorf("a probe found %d places, want 2", got)
	}
}

func TestSilentConnectionsGiveWay(t *testing.T) {
	cs := newConns(100, 50, nil)
	silent := arrive(cs, "192.0.2.1", 50)
	next := arrive(cs, "192.0.2.1", 10)
	if len(next) != 10 {
		t.Fatalf("%d found a place beside silent ones, want 10", len(next))
	}
	for i, c := range silent {
		if closed := c.Conn.(*wire).closed; closed != (i < 10) {
			t.Errorf("silent connection %d: closed %v", i, closed)
		}
	}
	if cs.count() != 50 {
		t.Errorf("%d are open, want 50", cs.count())
	}
}

// TestAClientThatHasAskedIsNotSilent: what it has sent was not read yet, which is no
// reason to end its connection.
func TestAClientThatHasAskedIsNotSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cs := newConns(100, 20, nil)
	bounded := cs.listen(l)
	defer func() { _ = bounded.Close() }()
	var clients []net.Conn
	var served []*conn
	arrive := func(text string) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		in, err := bounded.Accept()
		if err != nil {
			t.Fatal(err)
		}
		clients, served = append(clients, c), append(served, in.(*conn))
	}
	for i := range 20 {
		arrive([]string{"", "GET / HTTP/1.1\r\n"}[i%2])
	}
	for range 10 {
		arrive("")
	}
	for i, c := range served {
		if asked := i < 20 && i%2 == 1; asked && c.gone {
			t.Errorf("connection %d was ended, although a request is waiting on it", i)
		}
	}
	if cs.count() != 20 {
		t.Errorf("%d are open, want 20", cs.count())
	}
	for i, c := range clients {
		_, _ = c.Close(), served[i].Close()
	}
}

func TestACrowdOfSilentConnectionsMustHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 10_000, nil)
		silent := arrive(cs, "192.0.2.1", mute)
		busy(cs, silent[:1])
		time.Sleep(hurry + time.Millisecond)
		arrive(cs, "192.0.2.1", 1)
		if got := cs.count(); got > crowd+2 {
			t.Errorf("%d are open after a second, want at most %d", got, crowd+2)
		}
		if silent[0].Conn.(*wire).closed {
			t.Error("one that is served was closed")
		}
	})
}

func TestIdleConnectionsOfACrowdGiveWayLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 10_000, nil)
		for range 1000 {
			c := arrive(cs, "192.0.2.1", 1)[0]
			cs.state(c, http.StateActive)
			cs.state(c, http.StateIdle)
		}
		time.Sleep(2 * hurry)
		if arrive(cs, "192.0.2.1", 1); cs.count() != 1001 {
			t.Errorf("%d are open after two seconds, want 1001", cs.count())
		}
		time.Sleep(dawdle)
		if arrive(cs, "192.0.2.1", 1); cs.count() > crowd+2 {
			t.Errorf("%d are open, want at most %d", cs.count(), crowd+2)
		}
	})
}

func TestProxiesAreHeldToTheWholeAlone(t *testing.T) {
	cs := newConns(100, 10, func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") })
	busy(cs, arrive(cs, "192.0.2.1", 60))
	if got := cs.count(); got != 60 {
		t.Errorf("a trusted proxy has %d connections, want 60", got)
	}
}

func TestNothingIsKeptOfConnectionsThatEnded(t *testing.T) {
	cs := newConns(50, 20, nil)
	for i := range 200 {
		in := arrive(cs, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), 30)
		for j, c := range in {
			if j%2 == 0 {
				cs.state(c, http.StateActive)
			}
		}
		for _, c := range in {
			_ = c.Close()
		}
	}
	if cs.count() != 0 || len(cs.peers) != 0 || cs.fresh.Len() != 0 || cs.idle.Len() != 0 {
		t.Errorf("left: %d open, %d peers, %d fresh, %d idle", cs.count(), len(cs.peers), cs.fresh.Len(), cs.idle.Len())
	}
}

// TestACrowdIsOfOneAddress: refused requests end their connections where one address has
// many that wait, and nowhere else.
func TestACrowdIsOfOneAddress(t *testing.T) {
	cs := newConns(10_000, 5_000, func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.9") })
	rest := func(in []*conn) {
		busy(cs, in)
		for _, c := range in {
			cs.state(c, http.StateIdle)
		}
	}
	crowded := func(from string) bool { return cs.crowded(&http.Request{RemoteAddr: from + ":1"}) }
	rest(arrive(cs, "192.0.2.1", crowd-1))
	if crowded("192.0.2.1") {
		t.Errorf("%d connections are a crowd", crowd-1)
	}
	rest(arrive(cs, "192.0.2.1", 1))
	rest(arrive(cs, "192.0.2.9", crowd))
	for from, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false, "192.0.2.9": false} {
		if crowded(from) != want {
			t.Errorf("%s: crowded is %v, want %v", from, !want, want)
		}
	}
	busy(cs, arrive(cs, "192.0.2.3", 2*crowd))
	if crowded("192.0.2.3") {
		t.Error("connections that are used are a crowd")
	}
}

// TestTheMuteGiveWay: of many connections of one address that have not asked anything, the
// oldest that has said nothing in time gives way, and one in the middle of a handshake does
// not.
func TestTheMuteGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 5_000, nil)
		in := arrive(cs, "192.0.2.1", mute)
		in[0].heard.Store(true)
		time.Sleep(speakWithin)
		if got := len(arrive(cs, "192.0.2.1", 10)); got != 10 {
			t.Fatalf("%d found a place, want 10", got)
		}
		for i, c := range in {
			if closed := c.Conn.(*wire).closed; closed != (i >= 1 && i <= 10) {
				t.Errorf("connection %d: closed %v", i, closed)
			}
		}
		if cs.count() != mute {
			t.Errorf("%d are open, want %d", cs.count(), mute)
		}
	})
}

// TestManyConnectionsMayBeOpenedBeforeTheyAreUsed: a client that opens a thousand and then
// begins to use them loses none of them, and no address opens ever more at once.
func TestManyConnectionsMayBeOpenedBeforeTheyAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 5_000, nil)
		in := arrive(cs, "192.0.2.1", mostMute)
		time.Sleep(speakWithin - time.Millisecond)
		for i, c := range in {
			if c.Conn.(*wire).closed {
				t.Fatalf("connection %d was closed before its client could say anything", i)
			}
		}
		if arrive(cs, "192.0.2.1", 100); cs.count() != mostMute {
			t.Errorf("%d are open, want %d", cs.count(), mostMute)
		}
	})
}

package sink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
)

// A syslog receiver acknowledges nothing: what it had not read when its connection
// broke is gone. So lines of the last seconds before that are sent again, up to a size.
const (
	replayFor   = 10 * time.Second
	replayBytes = 4 << 20
)

// syslog sends RFC 5424 messages over TCP with octet counting (RFC 6587 section
// 3.4.1), or over TLS (RFC 5425).
type syslog struct {
	addr string
	tls  *tls.Config // nil for TCP
	form formatter
	host string
	pid  string

	conn   net.Conn
	ended  chan time.Time // has the time when the receiver has closed the connection
	recent []sent
	kept   int // bytes of recent
	out    []byte
}

// sent is a batch that was written to a connection.
type sent struct {
	at    time.Time
	lines []byte
}

func newSyslog(addr string, conf *tls.Config, f formatter) *syslog {
	host, _ := os.Hostname() // without one it is "-"
	return &syslog{addr: addr, tls: conf, form: f, host: cmp.Or(printable(host), "-"), pid: strconv.Itoa(os.Getpid())}
}

func (s *syslog) send(ctx context.Context, b batch) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.write(ctx, b.lines); err != nil {
		return errors.Join(err, s.close())
	}
	s.remember(b.lines)
	return nil
}

// connect opens a connection, unless there is one that the receiver has not closed,
// and sends again what the one before may have lost.
func (s *syslog) connect(ctx context.Context) error {
	if s.conn != nil {
		select {
		case at := <-s.ended:
			_ = s.close() // its other end is gone
			s.forget(at.Add(-replayFor))
		default:
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.conn, s.ended = conn, make(chan time.Time, 1)
	go watch(conn, s.ended)
	for _, r := range s.recent {
		if err := s.write(ctx, r.lines); err != nil {
			return errors.Join(err, s.close())
		}
	}
	return nil
}

func (s *syslog) dial(ctx context.Context) (net.Conn, error) {
	if s.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	}
	return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.addr)
}

// watch sees the end of a connection on which the other side never speaks.
func watch(c net.Conn, ended chan<- time.Time) {
	buf := make([]byte, 512)
	for {
		if _, err := c.Read(buf); err != nil {
			ended <- time.Now()
			return
		}
	}
}

// write sends lines, each as a message. The end of ctx ends it.
func (s *syslog) write(ctx context.Context, lines []byte) error {
	s.out = s.out[:0]
	for line := range bytes.Lines(lines) {
		s.out = s.appendMessage(s.out, bytes.TrimSuffix(line, []byte{'\n'}))
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // a connection without deadlines has ended
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := s.conn.Write(s.out)
	return err
}

// remember keeps lines to be sent again.
func (s *syslog) remember(lines []byte) {
	now := time.Now()
	s.recent = append(s.recent, sent{now, lines})
	s.kept += len(lines)
	s.forget(now.Add(-replayFor))
}

// forget drops what was sent before a time, and the oldest of what is too much.
func (s *syslog) forget(before time.Time) {
	for len(s.recent) > 0 && (s.recent[0].at.Before(before) || s.kept > replayBytes && len(s.recent) > 1) {
		s.kept -= len(s.recent[0].lines)
		s.recent[0] = sent{}
		s.recent = s.recent[1:]
	}
}

func (s *syslog) close() error {
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	err := conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

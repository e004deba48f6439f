package sink

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"portcullis/gateway/files"
)

// The kinds of sinks, as their URLs begin.
const (
	kindTCP    = "syslog+tcp"
	kindTLS    = "syslog+tls"
	kindHTTPS  = "https"
	kindStdout = "stdout"
)

// target is a URL of AUDIT_SINKS.
type target struct {
	kind string
	url  string // of https
	addr string // of syslog
	name string // scheme and host: what logs, metrics and errors say
	form string // of the events, empty for the lines as they are
	dir  string // name of its spool below that of all
}

// The ports that are meant when a URL has none (RFC 6587 section 3.2, RFC 5425
// section 4.1).
const (
	portTCP = "601"
	portTLS = "6514"
)

// parse reads a URL. Its path and query can be a credential, so errors do not repeat it.
func parse(raw string) (target, error) {
	bare, form, err := cutFormat(raw)
	if err != nil {
		return target{}, err
	}
	if bare == kindStdout {
		return target{kind: kindStdout, name: kindStdout, form: form}, nil
	}
	u, err := url.Parse(bare)
	if err != nil {
		return target{}, errors.New("not a URL")
	}
	t := target{kind: u.Scheme, name: u.Scheme + "://" + u.Host, form: form}
	switch {
	case u.Scheme != kindTCP && u.Scheme != kindTLS && u.Scheme != kindHTTPS:
		return t, errors.New("must be syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT, https://HOST/PATH or stdout")
	case u.Hostname() == "":
		return t, errors.New("the host is missing")
	case !isHost(u.Hostname()):
		return t, errors.New("the host is neither a name nor an address")
	case u.User != nil:
		return t, errors.New("holds a user name or password; put a token into AUDIT_SINK_TOKEN_FILE")
	case u.Scheme != kindHTTPS && (strings.Trim(u.Path, "/") != "" || u.RawQuery != ""):
		return t, errors.New(t.name + ": nothing may follow the host and port")
	}
	sum := sha256.Sum256([]byte(raw))
	t.dir = u.Scheme + "-" + hex.EncodeToString(sum[:6])
	t.url, t.addr = bare, net.JoinHostPort(u.Hostname(), portOf(u))
	return t, nil
}

// isHost reports whether a host that stands in a URL is an address, with a zone or without
// one, or has only what names have.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._", r)
	})
}

// cutFormat cuts #format=NAME off a URL: a fragment is sent to nobody (RFC 3986 section
// 3.5).
func cutFormat(raw string) (bare, form string, err error) {
	bare, fragment, ok := strings.Cut(raw, "#")
	if !ok {
		return bare, "", nil
	}
	form, ok = strings.CutPrefix(fragment, "format=")
	if !ok || form == "" {
		return bare, "", errors.New("behind # stands #format=NAME, or nothing")
	}
	return bare, form, nil
}

func portOf(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == kindTLS:
		return portTLS
	}
	return portTCP
}

// sender makes the sender of a target.
func (c Config) sender(t target) (sender, error) {
	f, err := c.formatter(t.form)
	if err != nil {
		return nil, err
	}
	switch t.kind {
	case kindStdout:
		if c.Stdout == nil {
			return nil, errors.New("stdout: standard output carries something else here")
		}
		return &stdout{w: c.Stdout, form: f}, nil
	case kindTCP:
		return newSyslog(t.addr, nil, f), nil
	}
	conf, err := c.tls()
	if err != nil {
		return nil, err
	}
	if t.kind == kindTLS {
		return newSyslog(t.addr, conf, f), nil
	}
	return newCollector(t.url, conf, c, f), nil
}

// oneReceiver: a credential is for one receiver.
func (c Config) oneReceiver() error {
	n := 0
	for _, raw := range c.URLs {
		if strings.HasPrefix(raw, kindHTTPS+"://") {
			n++
		}
	}
	if n > 1 && (c.TokenFile != "" || c.HMACFile != "") {
		return errors.New("AUDIT_SINKS: AUDIT_SINK_TOKEN_FILE and AUDIT_SINK_HMAC_FILE would go to more than one https:// receiver; keep one of them")
	}
	return nil
}

func (c Config) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pool, err := files.CertPool(c.CA)
		if err != nil {
			return nil, fmt.Errorf("AUDIT_SINK_CA: %w", err)
		}
		conf.RootCAs = pool
	}
	if c.Cert == "" && c.Key == "" {
		return conf, nil
	}
	if _, err := files.KeyPair(c.Cert, c.Key); err != nil {
		return nil, fmt.Errorf("AUDIT_SINK_CERT and AUDIT_SINK_KEY: %w", err)
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := files.KeyPair(c.Cert, c.Key) // again, because certificates are renewed
		return &pair, err
	}
	return conf, nil
}

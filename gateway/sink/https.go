package sink

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/files"
)

const (
	requestTimeout = 30 * time.Second
	maxRetryAfter  = 5 * time.Minute
)

// collector posts batches to an HTTPS endpoint: the lines as they are in the file, or the
// events of a format, one a line (application/x-ndjson, or text/plain for CEF), compressed
// with gzip. A key signs each request as Standard
// Webhooks say (https://www.standardwebhooks.com): webhook-id stays the same when a
// batch is sent again.
type collector struct {
	url     string
	client  *http.Client
	form    formatter
	token   string // file
	hmacKey string // file
}

func newCollector(to string, conf *tls.Config, c Config, f formatter) *collector {
	return &collector{url: to, form: f, token: c.TokenFile, hmacKey: c.HMACFile, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: requestTimeout,
		},
		// A redirect would lead a credential and evidence to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       requestTimeout,
	}}
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	wait   time.Duration // Retry-After
}

// Error says what an answer means for the sink.
func (e *statusError) Error() string {
	text := fmt.Sprintf("the receiver answered %d %s", e.status, http.StatusText(e.status))
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return text + ": check AUDIT_SINK_TOKEN_FILE and AUDIT_SINK_HMAC_FILE"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return text + ": redirects are not followed, put the final address into AUDIT_SINKS"
	}
	return text
}

// retryAfter is how long the receiver wants to be left alone.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.wait
	}
	return 0
}

func (c *collector) send(ctx context.Context, b batch) error {
	lines := c.form.lines(b.lines)
	body, err := compress(lines)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if len(lines) > 0 && lines[0] != '{' {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	req.Header.Set("Content-Encoding", "gzip")
	if err := c.authorize(req.Header, identify(lines), body); err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // the form with a date is rare and only waits less
		return &statusError{resp.StatusCode, min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter)}
	}
	return nil
}

// bare is an error without the URL that net/http puts before it.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func compress(lines []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(lines)
	err = errors.Join(err, z.Close())
	return out.Bytes(), err
}

// identify names a batch by its content, so that the receiver can tell one that is
// sent again.
func identify(lines []byte) string {
	sum := sha256.Sum256(lines)
	return "audit_" + base64.RawURLEncoding.EncodeToString(sum[:15])
}

// authorize adds the bearer token and the signature.
func (c *collector) authorize(h http.Header, id string, body []byte) error {
	h.Set("Webhook-Id", id)
	if c.token != "" {
		token, err := readLine("AUDIT_SINK_TOKEN_FILE", c.token)
		if err != nil {
			return err
		}
		h.Set("Authorization", "Bearer "+token)
	}
	if c.hmacKey == "" {
		return nil
	}
	key, err := readKey(c.hmacKey)
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// readLine reads a credential.
func readLine(setting, file string) (string, error) {
	raw, err := files.Read(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s: %s must hold one line", setting, file)
	}
	return text, nil
}

// readKey reads the key of the signatures. One that begins with whsec_ is base64, as
// Standard Webhooks write theirs.
func readKey(file string) ([]byte, error) {
	text, err := readLine("AUDIT_SINK_HMAC_FILE", file)
	if err != nil {
		return nil, err
	}
	enc, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(enc)
	if err != nil {
		return nil, fmt.Errorf("AUDIT_SINK_HMAC_FILE: %s is not base64 behind whsec_", file)
	}
	return key, nil
}

func (c *collector) close() error {
	c.client.CloseIdleConnections()
	return nil
}

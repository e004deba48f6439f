// Package redis keeps what the replicas of a gateway share and may lose: rates, the proofs
// that were used, failed credentials, events, sessions of MCP. It needs Redis 6 or Valkey 7
// and commands that both have; each step that must not be torn apart is one script, over
// keys of one hash slot.
//
// Keys are {REDIS_PREFIX}:v1:KIND:…: releases with another layout have another number and
// do not meet. Names of callers and identifiers that somebody could present are hashed.
//
// No operation waits longer than Timeout. Once Redis has not answered, operations fail at
// once with ErrAway until it does; what that means is for each user of a store to say.
package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"portcullis/gateway/call"
	"portcullis/gateway/files"
	"portcullis/gateway/retry"
)

// Timeout bounds each operation, the making of a connection included.
const Timeout = time.Second

// lookEvery is how often a Redis that was away is looked for, and lookRarely how often one
// that nothing is known against.
const (
	lookEvery  = 200 * time.Millisecond
	lookRarely = 2 * time.Second
)

// connections is how many a gateway has to Redis at most. One is used for some 100 us.
const connections = 64

// schema is the layout of keys and values.
const schema = "v1"

// ErrAway says that Redis cannot be reached.
var ErrAway = errors.New("the shared store (REDIS_URL) cannot be reached")

// Config says where Redis is.
type Config struct {
	URL           call.Secret // see parse
	Prefix        string      // of all keys
	CA, Cert, Key string      // files in PEM: the server's authority; the gateway's certificate and key
	Log           *slog.Logger
}

// Store is the connection. It is safe for concurrent use.
type Store struct {
	client goredis.UniversalClient
	prefix string
	secret string // what only the replicas and Redis know; empty without a password
	log    *slog.Logger
	away   atomic.Pointer[away] // nil while Redis answers
	wake   chan struct{}        // it was found away
	spend  *goredis.Script
	append *goredis.Script
}

// away is since when and why Redis does not answer.
type away struct {
	since time.Time
	cause error
}

// Open makes a store, and connects to nothing. Its error says what is wrong with the
// configuration.
func Open(c Config) (*Store, error) {
	o, err := parse(c.URL.Reveal())
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	if err := c.files(o); err != nil {
		return nil, err
	}
	o.ClientName = "portcullis"
	o.MaxRetries = -1 // a script that was sent twice could count twice
	o.DialerRetries = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = Timeout, Timeout, Timeout, Timeout
	o.ContextTimeoutEnabled = true
	o.PoolSize = connections
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // Redis alone knows the command
	goredis.SetLogger(silent{})                                                                    // Run says it once, and without addresses
	s := &Store{
		client: goredis.NewUniversalClient(o), prefix: c.Prefix + ":" + schema + ":", secret: o.Password, log: c.Log,
		wake: make(chan struct{}, 1), spend: goredis.NewScript(spendSource), append: goredis.NewScript(appendSource),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// files adds the certificates to what is said of TLS.
func (c Config) files(o *goredis.UniversalOptions) error {
	if o.TLSConfig == nil {
		if c.CA != "" || c.Cert != "" {
			return errors.New("REDIS_CA and REDIS_CERT: need a REDIS_URL with rediss://")
		}
		return nil
	}
	if c.CA != "" {
		pool, err := files.CertPool(c.CA)
		if err != nil {
			return fmt.Errorf("REDIS_CA: %w", err)
		}
		o.TLSConfig.RootCAs = pool
	}
	if c.Cert == "" {
		return nil
	}
	pair, err := files.KeyPair(c.Cert, c.Key)
	if err != nil {
		return fmt.Errorf("REDIS_CERT: %w", err)
	}
	o.TLSConfig.Certificates = []tls.Certificate{pair}
	return nil
}

type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

// Run looks after the connection until ctx ends.
func (s *Store) Run(ctx context.Context) {
	up.Set(1)
	for s.look(ctx) {
		wait := lookRarely
		if s.away.Load() != nil {
			wait = lookEvery
		}
		t := time.NewTimer(retry.Jitter(wait, 4))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// look asks Redis whether it is there. It reports false when ctx has ended.
func (s *Store) look(ctx context.Context) bool {
	within, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := s.client.Ping(within).Err()
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		s.lost(err)
		return true
	}
	if was := s.away.Swap(nil); was != nil {
		up.Set(1)
		s.log.Info("the shared store answers again", "away_for", time.Since(was.since).Round(time.Millisecond).String())
	}
	return true
}

// lost notes that Redis does not answer.
func (s *Store) lost(err error) {
	if !s.away.CompareAndSwap(nil, &away{time.Now(), err}) {
		return
	}
	up.Set(0)
	s.log.Error("the shared store does not answer: limits hold for this gateway alone, or calls are refused, as the tiers say; events wait; it is looked for all the time", "cause", err)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// do runs one operation. Its error is ErrAway, with the cause, when Redis cannot answer.
func (s *Store) do(ctx context.Context, f func(context.Context) error) error {
	if a := s.away.Load(); a != nil {
		return fmt.Errorf("%w: %w", ErrAway, a.cause)
	}
	within, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := f(within)
	if err == nil || errors.Is(err, goredis.Nil) {
		return err
	}
	failures.Inc()
	if ctx.Err() == nil && !aboutData(err) {
		s.lost(err)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// aboutData reports whether Redis has answered, and what is wrong is what somebody has put
// under one key: that says nothing of the others.
func aboutData(err error) bool {
	reply, ok := errors.AsType[goredis.Error](err)
	if !ok {
		return false
	}
	for _, text := range []string{"WRONGTYPE", "is not an integer", "is not a valid float", "attempt to", "bad argument"} { // the last two are Lua's
		if strings.Contains(reply.Error(), text) {
			return true
		}
	}
	return false
}

// Health says since when and why Redis does not answer, nil when it does.
func (s *Store) Health() error {
	a := s.away.Load()
	if a == nil {
		return nil
	}
	return fmt.Errorf("%w since %s", ErrAway, a.since.UTC().Format(time.RFC3339))
}

// key names something of a kind by parts that are nobody's to read. Keys of one slot share
// what stands in braces (Redis Cluster, hash tags).
func (s *Store) key(kind string, parts ...string) string {
	return s.prefix + kind + ":{" + hash(parts...) + "}"
}

// keyIn names something of an owner by a part that may be read, in the slot of the owner.
func (s *Store) keyIn(kind, owner, part string) string { return s.key(kind, owner) + ":" + part }

// hash is a short name for parts, which are told apart by their lengths.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

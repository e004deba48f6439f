package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/e2e/stack"
)

// overheard is what replicas send each other through a Redis, as whoever may read it hears it.
type overheard struct {
	client   *goredis.Client
	sub      *goredis.PubSub
	commands <-chan []string // all of them, once it is over
}

func overhear(t *testing.T, r *stack.Redis) *overheard {
	t.Helper()
	o, err := goredis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	sub := c.PSubscribe(t.Context(), "*")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = sub.Close(), c.Close() })
	return &overheard{c, sub, monitor(t, o.Addr)}
}

// lastCommand ends what is heard of a Redis.
const lastCommand = "this is heard last"

// monitor hears every command with its arguments (MONITOR), and so also what has expired
// until somebody looks.
func monitor(t *testing.T, addr string) <-chan []string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	_, werr := fmt.Fprint(conn, "MONITOR\r\n")
	if ok, err := in.ReadString('\n'); errors.Join(werr, err) != nil || !strings.HasPrefix(ok, "+OK") {
		t.Fatal(ok, werr, err)
	}
	heard := make(chan []string, 1)
	go func() {
		var all []string
		for line, err := in.ReadString('\n'); err == nil; line, err = in.ReadString('\n') {
			if all = append(all, line); strings.Contains(line, lastCommand) {
				break
			}
		}
		heard <- all
	}()
	return heard
}

// lookIntoCommands holds that no command had one of the secrets, and that the gateway has kept
// what it reads for all replicas.
func (o *overheard) lookIntoCommands(t *testing.T, secrets ...string) {
	t.Helper()
	if err := o.client.Echo(t.Context(), lastCommand).Err(); err != nil {
		t.Fatal(err)
	}
	read, noted := 0, 0
	for _, line := range <-o.commands {
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("Redis was sent %s…: %.200s", secret[:6], line)
			}
		}
		if holdsCanary(line) {
			t.Errorf("Redis was sent the canary: %.200s", line)
		}
		if strings.Contains(line, `"SET" "portcullis:v1:look:{`) && strings.Contains(line, `}:read"`) { // by a script
			read++
		}
		if strings.Contains(line, `"set" "portcullis:v1:look:{`) && strings.Contains(line, `}:noted"`) {
			noted++
		}
	}
	if read == 0 || noted == 0 {
		t.Errorf("%d readings and %d notes were kept in Redis, want some", read, noted)
	}
}

// lookIntoRedis holds that nothing in a Redis, and nothing that was sent through it, is one of
// the secrets: of each type of keys that there has to be there is one.
func (o *overheard) lookIntoRedis(t *testing.T, secrets ...string) {
	t.Helper()
	all := o.dump(t)
	for said := true; said; {
		select {
		case m := <-o.sub.Channel():
			all["message "+m.Channel] = m.Payload
		default:
			said = false
		}
	}
	kinds := map[string]bool{}
	for key, text := range all {
		kind, _, _ := strings.Cut(key, ":{")
		kinds[kind] = true
		for _, secret := range secrets {
			if strings.Contains(key+text, secret) {
				t.Errorf("Redis holds %s…: %s %.200q", secret[:6], key, text)
			}
		}
		if holdsCanary(key) || holdsCanary(text) {
			t.Errorf("Redis holds the canary: %s %.200q", key, text)
		}
	}
	for _, kind := range []string{"stream portcullis:v1:events", "hash portcullis:v1:mcp", "string portcullis:v1:vaultapi", "string portcullis:v1:rate"} {
		if !kinds[kind] {
			t.Errorf("nothing of %q is in Redis: %v", kind, kinds)
		}
	}
}

// dump is everything that is in a Redis, by type and key.
func (o *overheard) dump(t *testing.T) map[string]string {
	t.Helper()
	ctx, c, out := t.Context(), o.client, map[string]string{}
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		kind := c.Type(ctx, key).Val()
		var value any
		switch kind {
		case "string":
			value = c.Get(ctx, key).Val()
		case "hash":
			value = c.HGetAll(ctx, key).Val()
		case "zset":
			value = c.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "stream":
			value = c.XRange(ctx, key, "-", "+").Val()
		case "none": // it has just ended
		default:
			t.Errorf("a key of type %s, which nobody looks into: %s", kind, key)
		}
		out[kind+" "+key] = fmt.Sprint(value)
	}
	return out
}

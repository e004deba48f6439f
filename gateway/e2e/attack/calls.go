package attack

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxRequests bounds what one attack sends.
const maxRequests = 20_000

// flood sends what next makes, from so many workers at once, until ctx ends or
// maxRequests are sent.
func (t *Target) flood(ctx context.Context, workers int, next func(i int) request) int {
	var n atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := n.Add(1)
				if i > maxRequests {
					return
				}
				_, _, _ = t.send(ctx, next(int(i)))
			}
		})
	}
	wg.Wait()
	return int(n.Load())
}

func post(path, body string) request {
	return request{key: hostileKey, method: http.MethodPost, path: path, body: body}
}

func tool(name, arguments string) request {
	return post("/mcp/rpc", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, name, arguments))
}

// anchors are texts in which scanners for secrets look for more.
func anchors() []string {
	return []string{
		"_", "-", ".", "=", "/", "+", "A", "0", "~", "eyJ", "AKIA", "ASIA", "ghp_", "sk-", "hvs.", "vault:v1:", "s.", "xox",
		"-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "://", "@", "Bearer ", `token":"`, "password=", "a.b.", "4111", "DE89",
	}
}

// calls are attacks by a caller with a valid key and no grant.
func calls() []Attack {
	return []Attack{
		{Name: "arguments full of what scanners look for, denied", Run: func(ctx context.Context, t *Target) int {
			all := anchors()
			return t.flood(ctx, 4, func(i int) request {
				a := all[i%len(all)]
				return post("/transit/verify", fmt.Sprintf(`{"key":"signing","input":"YQ==","signature":%q}`, strings.Repeat(a, 100_000/len(a))))
			})
		}},
		{Name: "a megabyte of one character, over REST and MCP", Run: func(ctx context.Context, t *Target) int {
			return t.flood(ctx, 2, func(i int) request {
				text := strings.Repeat(string(rune(33+i%90)), 900_000)
				if i%2 == 0 {
					return tool("transit.hash", fmt.Sprintf(`{"input":%q}`, text))
				}
				return post("/transit/encrypt", fmt.Sprintf(`{"key":"mcp","plaintext":%q}`, text))
			})
		}},
		{Name: "names that look like secrets and JSON", Run: func(ctx context.Context, t *Target) int {
			names := []string{"-----BEGIN PRIVATE KEY-----", `q"token":{`, "token=hidden", "\"},{\"", "kv.read", "authentication refused", "\u2028", "eyJhbGciOiJIUzI1NiJ9.e30.x"}
			return t.flood(ctx, 2, func(i int) request {
				path := "/secrets/" + url.PathEscape(names[i%len(names)])
				return request{key: hostileKey, method: http.MethodPut, path: path, body: `{"data":{"a":"kv.read","b":"authentication refused"}}`}
			})
		}},
		{Name: "calls that are far over the rate, with large arguments", Run: func(ctx context.Context, t *Target) int {
			plain := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 60_000)))
			return t.flood(ctx, 8, func(int) request {
				return post("/transit/encrypt", fmt.Sprintf(`{"key":"mcp","plaintext":%q}`, plain))
			})
		}},
		{Name: "calls that cannot be read", Run: func(ctx context.Context, t *Target) int {
			bodies := []string{"", "{", "[]", `{"data":`, `{"data":{"a":1e999}}`, strings.Repeat("[", 100_000), `{"a":1,"a":2}`, "\xff", `{"` + strings.Repeat("k", 50_000) + `":1}`}
			return t.flood(ctx, 4, func(i int) request {
				if i%2 == 0 {
					return request{key: hostileKey, method: http.MethodPut, path: "/secrets/x", body: bodies[i/2%len(bodies)]}
				}
				return post("/mcp/rpc", bodies[i/2%len(bodies)])
			})
		}},
		{Name: "batches of lists over MCP", Run: func(ctx context.Context, t *Target) int {
			batch := "[" + strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"tools/list"},`, 50), ",") + "]"
			return t.flood(ctx, 4, func(int) request { return post("/mcp/rpc", batch) })
		}},
		{Name: "batches of a thousand items", Run: func(ctx context.Context, t *Target) int {
			items := "[" + strings.TrimSuffix(strings.Repeat(`{"plaintext":"YQ=="},`, 1000), ",") + "]"
			return t.flood(ctx, 4, func(int) request { return post("/transit/encrypt", `{"key":"mcp","items":`+items+`}`) })
		}},
		{Name: "calls that are hung up on", Run: hangUps},
		{Name: "sessions and subscriptions to addresses of a megabyte", Run: subscriptions},
		{Name: "paths at and beyond every length", Run: func(ctx context.Context, t *Target) int {
			return t.flood(ctx, 2, func(i int) request {
				return request{key: hostileKey, method: http.MethodGet, path: "/secrets/" + strings.Repeat("a", 900+i%300)}
			})
		}},
		{Name: "the document of all operations, again and again", Run: func(ctx context.Context, t *Target) int {
			return t.flood(ctx, 4, func(i int) request {
				return request{key: []string{"", hostileKey}[i%2], method: http.MethodGet, path: "/openapi.json"}
			})
		}},
		{Name: "wrong keys from the honest caller's address", Run: func(ctx context.Context, t *Target) int {
			return t.flood(ctx, 4, func(i int) request {
				time.Sleep(5 * time.Millisecond)
				return request{key: fmt.Sprintf("no-such-key-%d-%d", i, rand.Uint64()), method: http.MethodGet, path: "/secrets/s"}
			})
		}},
		{Name: "answers of a megabyte that are not read", Run: slowReaders},
		{Name: "answers of megabytes over MCP that are not read", Run: slowBatches},
	}
}

// hangUps begins mutations and closes the connection before the answer.
func hangUps(ctx context.Context, t *Target) int {
	items := "[" + strings.TrimSuffix(strings.Repeat(`{"input":"YWJj"},`, 200), ",") + "]"
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil && n.Add(1) < maxRequests {
				brief, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
				if n.Load()%2 == 0 {
					_, _, _ = t.send(brief, request{key: hostileKey, method: http.MethodPut, path: "/secrets/h", body: `{"data":{"a":1}}`})
				} else {
					_, _, _ = t.send(brief, post("/transit/hash", `{"items":`+items+`}`))
				}
				cancel()
			}
		})
	}
	wg.Wait()
	return int(n.Load())
}

// subscriptions opens sessions of the older protocol and subscribes to long addresses.
func subscriptions(ctx context.Context, t *Target) int {
	const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
	uri := "kv://secret/" + strings.Repeat("u", 900_000)
	n := 0
	for ; ctx.Err() == nil && n < 2000; n += 2 {
		session := t.session(ctx, initialize)
		for i := range 4 {
			r := post("/mcp", fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"resources/subscribe","params":{"uri":"%s%d"}}`, i, uri, i))
			r.header = map[string]string{"Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-06-18"}
			_, _, _ = t.send(ctx, r)
			n++
		}
	}
	return n
}

func (t *Target) session(ctx context.Context, initialize string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"/mcp", strings.NewReader(initialize))
	if err != nil {
		return ""
	}
	req.Header.Set("X-API-Key", hostileKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := t.client.Do(req)
	if err != nil {
		return ""
	}
	_ = resp.Body.Close()
	return resp.Header.Get("Mcp-Session-Id")
}

package mcp_test

import (
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
)

func TestAskForLess(t *testing.T) {
	cases := map[string]struct {
		meta string
		want call.Deliver
		ttl  time.Duration
		bad  bool
	}{
		"nothing":         {meta: `{}`},
		"masked":          {meta: `{"portcullis/deliver":"masked"}`, want: call.Masked},
		"wrapped":         {meta: `{"portcullis/deliver":"wrapped"}`, want: call.Wrapped},
		"for a time":      {meta: `{"portcullis/wrap_ttl":"60s"}`, want: call.Wrapped, ttl: time.Minute},
		"both":            {meta: `{"portcullis/deliver":"wrapped","portcullis/wrap_ttl":"2m"}`, want: call.Wrapped, ttl: 2 * time.Minute},
		"others' keys":    {meta: `{"progressToken":1,"portcullis/deliver":"plain"}`, want: call.Plain},
		"unknown form":    {meta: `{"portcullis/deliver":"hidden"}`, bad: true},
		"not a text":      {meta: `{"portcullis/deliver":true}`, bad: true},
		"no duration":     {meta: `{"portcullis/wrap_ttl":"soon"}`, bad: true},
		"too short":       {meta: `{"portcullis/wrap_ttl":"1ms"}`, bad: true},
		"a contradiction": {meta: `{"portcullis/deliver":"masked","portcullis/wrap_ttl":"60s"}`, bad: true},
		"another case":    {meta: `{"Portcullis/Deliver":"masked"}`, bad: true},
	}
	for name, tc := range cases {
		for _, params := range []string{
			`"tools/call","params":{"name":"kv.read","arguments":{"path":"app"},"_meta":` + tc.meta,
			`"resources/read","params":{"uri":"kv://secret/mcp/agent/app","_meta":` + tc.meta,
		} {
			method, _, _ := strings.Cut(params, ",")
			t.Run(name+" "+method, func(t *testing.T) {
				w := newWorld(t)
				raw := post(t, mcp.New(w.Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":`+params+`}}`).Body.String()
				if tc.bad {
					if !strings.Contains(raw, `-32602`) || len(w.calls) > 0 {
						t.Errorf("got %s and %d calls, want a refusal", raw, len(w.calls))
					}
					return
				}
				if len(w.calls) != 1 || w.calls[0].Deliver != tc.want || w.calls[0].WrapTTL != tc.ttl {
					t.Errorf("got %+v for %s", w.calls, raw)
				}
			})
		}
	}
}

package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/sse"
)

func ExampleServer_Events() {
	log := events.New(events.Config{Allow: func(context.Context, *call.Caller, events.Event) bool { return true }})
	s := sse.New(sse.Config{Log: log, KVMount: "secret"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Events(w, r, &call.Caller{Subject: "agent", Prefix: path("mcp/agent")})
	}))
	defer server.Close()
	defer log.Close()
	resp, err := http.Get(server.URL + "/events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	log.Publish(events.Event{
		Kind: events.ResourceChanged, Mount: "secret", Path: path("mcp/agent/app"), Source: events.FromPoll, Time: time.Unix(0, 0),
	})
	for b := bufio.NewScanner(resp.Body); b.Scan(); {
		if strings.HasPrefix(b.Text(), "data: ") {
			fmt.Println(b.Text())
			break
		}
	}
	// Output: data: {"type":"resource.changed","uri":"kv://secret/mcp/agent/app","path":"mcp/agent/app","source":"poll","time":"1970-01-01T00:00:00Z"}
}

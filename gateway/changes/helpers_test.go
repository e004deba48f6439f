package changes_test

import (
	"context"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

func path(s string) call.Path {
	p, err := call.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func caller(subject string) *call.Caller {
	return &call.Caller{Subject: subject, Prefix: path("mcp/" + subject)}
}

func yes(context.Context, *call.Caller, events.Event) bool { return true }

func below(p string) events.Filter {
	return events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path(p), Below: true}}}
}

func change(p string) events.Event {
	return events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: path(p), Source: events.FromGateway}
}

func open(t testing.TB, l *events.Log, c *call.Caller, f events.Filter, after string) *events.Reader {
	t.Helper()
	r, err := l.Subscribe(c, "s", f, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func exactly(paths ...string) events.Filter {
	var f events.Filter
	for _, p := range paths {
		f.Topics = append(f.Topics, events.Topic{Mount: "secret", Path: path(p)})
	}
	return f
}

// next returns the path of the next event, or the error's text.
func next(t testing.TB, r *events.Reader) (string, string) {
	t.Helper()
	e, id, err := r.Next(t.Context(), 10*time.Millisecond)
	if err != nil {
		return err.Error(), ""
	}
	return e.Path.String(), id
}

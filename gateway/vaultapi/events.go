package vaultapi

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
	"portcullis/gateway/retry"
)

// Vault's event notifications (Vault API, sys/events/subscribe): a websocket on which each
// change is a text message in the form of CloudEvents. What it reports, and to whom, is
// the event log's to say.

// eventsPath begins the path of a subscription, behind which stands the type of events.
const eventsPath = "sys/events/subscribe/"

// maxMessage bounds what a subscriber may send, in bytes: it has nothing to say.
const maxMessage = 1 << 10

// writeTimeout is that of one message.
const writeTimeout = 10 * time.Second

// kinds are Vault's types of events by operation.
func kinds() map[string]string {
	return map[string]string{
		"kv.write": "data-write", "kv.patch": "data-patch", "kv.delete": "data-delete", "kv.undelete": "undelete",
		"kv.destroy": "destroy", "kv.set_metadata": "metadata-write",
	}
}

// subscribe answers a subscription until it ends.
func (a *API) subscribe(w http.ResponseWriter, q *request, _ *question) {
	rd, err := a.subscription(q)
	if err != nil {
		WriteError(w, err, "")
		return
	}
	defer rd.Close()
	a.Open.Add(1) // before the connection is taken from the server, which no longer waits for it
	defer a.Open.Done()
	edge.Streaming(w)
	conn, err := websocket.Accept(w, q.http, slowly())
	if err != nil {
		return // it is answered
	}
	defer func() { _ = conn.CloseNow() }() // closed already when all is well
	conn.SetReadLimit(maxMessage)
	ctx := conn.CloseRead(q.http.Context())
	err = a.deliver(ctx, conn, rd, q)
	_ = conn.Close(ending(err))
}

// frameEvery is how often a control frame of a subscriber is read (RFC 6455, section 5.5).
const frameEvery = 100 * time.Millisecond

// slowly accepts a subscriber whose control frames are read slowly.
func slowly() *websocket.AcceptOptions {
	var l listener
	return &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the edge has looked at the origin
		OnPingReceived:     func(ctx context.Context, _ []byte) bool { l.frame(ctx); return true },
		OnPongReceived:     func(ctx context.Context, _ []byte) { l.frame(ctx) },
	}
}

// listener reads the control frames of a subscriber slowly: each ping is answered, and pings
// without end would keep a core busy.
type listener struct{ next time.Time }

// frame waits until a control frame may be answered. Nothing else is read meanwhile.
func (l *listener) frame(ctx context.Context) {
	now := time.Now()
	if wait := l.next.Sub(now); wait > 0 {
		now = l.next
		retry.Sleep(ctx, wait)
	}
	l.next = now.Add(frameEvery)
}

// subscription is a caller's place in the event log. It is on record, and so is why there is
// none. Vault has no way to go on where an earlier subscription ended; here the header
// Last-Event-ID, with the id of the last event that was received, is one, at any replica.
func (a *API) subscription(q *request) (rd *events.Reader, err error) {
	r := &op.Request{ID: q.id, Transport: op.VaultAPI, Op: "events.stream", Caller: q.caller}
	switch {
	case a.Events == nil:
		r.Bad = call.Errorf(call.UnknownOperation, "the gateway has no events")
	case q.http.Header.Get("Upgrade") == "":
		r.Bad = call.Errorf(call.InvalidRequest, "events come over a websocket")
	case !isTrue(q.query.Get("json")):
		r.Bad = call.Errorf(call.InvalidRequest, "events are JSON through the gateway: add ?json=true")
	case q.query.Get("filter") != "":
		r.Bad = call.Errorf(call.InvalidRequest, "filter: not supported through the gateway, which tells of what the caller may read")
	case strings.Count(q.params.get("type"), "*") > maxStars:
		r.Bad = call.Errorf(call.InvalidRequest, "a type of events has at most %d stars", maxStars)
	}
	err = a.Change(q.http.Context(), r, func(context.Context) (err error) {
		rd, err = a.Events.Subscribe(q.caller, "vault", events.Filter{Kinds: []events.Kind{events.ResourceChanged}, Topics: a.Topics(q.caller)}, q.http.Header.Get("Last-Event-Id"))
		if err == nil && rd.Missed() {
			rd.Close()
			err = call.Errorf(call.InvalidRequest, "header Last-Event-ID: the gateway does not hold every event since then any more: read what matters, and subscribe without it")
		}
		return err
	})
	return rd, err
}

// deliver sends events, and a ping when there are none, until the session ends with which
// they were asked for.
func (a *API) deliver(ctx context.Context, conn *websocket.Conn, rd *events.Reader, q *request) error {
	token, _ := presented(q.http)
	session := strings.HasPrefix(token, mark)
	for {
		e, id, err := rd.Next(ctx, a.KeepAlive)
		// Without an answer whether the session is still there, an event is not sent: the client
		// subscribes again. A ping says nothing, so it may be.
		switch now, _, away := a.own(ctx, q); {
		case !session || now != nil:
		case away == nil:
			return events.ErrEnded
		case err == nil:
			return away
		}
		limited, done := context.WithTimeout(ctx, writeTimeout)
		switch {
		case errors.Is(err, events.ErrIdle):
			err = conn.Ping(limited)
		case err == nil:
			if kind := a.kind(e); matches(q.params.get("type"), kind) {
				err = a.notify(limited, conn, e, notice{id, kind})
			}
		}
		done()
		if err != nil {
			return err
		}
	}
}

// notice is what an event is to one subscriber: its id, and its type in Vault.
type notice struct{ id, kind string }

// notify sends one event.
func (a *API) notify(ctx context.Context, conn *websocket.Conn, e *events.Event, n notice) error {
	raw, err := json.Marshal(notification(e, n), json.Deterministic(true))
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, raw)
}

// maxStars bounds those of a type.
const maxStars = 2

// matches reports whether a text is what a pattern says, in which * stands for any text.
func matches(pattern, text string) bool {
	before, rest, star := strings.Cut(pattern, "*")
	below, ok := strings.CutPrefix(text, before)
	if !star || !ok {
		return text == pattern
	}
	for i := range len(below) + 1 {
		if matches(rest, below[i:]) {
			return true
		}
	}
	return false
}

// kind is an event's type in Vault. What is not known of a change is told as a write.
func (a *API) kind(e *events.Event) string {
	kind := kinds()[e.Op]
	if kind == "" {
		kind = "data-write"
	}
	if o := a.Catalogue.Get("kv.read"); o != nil {
		if m, ok := o.MountAt(e.Mount); ok && m.KV() == 1 {
			return "kv-v1/" + map[bool]string{true: "delete", false: "write"}[kind == "data-delete"]
		}
	}
	return "kv-v2/" + kind
}

// notification is an event as Vault reports it (Vault docs, concepts/events).
func notification(e *events.Event, n notice) map[string]any {
	below := e.Path.String()
	data := e.Mount + "/data/" + below
	if strings.HasPrefix(n.kind, "kv-v1/") {
		data = e.Mount + "/" + below
	}
	facts := map[string]string{"data_path": data, "path": data, "operation": path.Base(n.kind), "modified": "true"}
	if e.Version > 0 {
		facts["current_version"] = strconv.Itoa(e.Version)
	}
	return map[string]any{
		"id": n.id, "source": "portcullis", "specversion": "1.0", "type": "*", "datacontenttype": "application/cloudevents", "time": e.Time.UTC(),
		"data": map[string]any{
			"event":      map[string]any{"id": n.id, "metadata": facts},
			"event_type": n.kind,
			"plugin_info": map[string]string{
				"mount_class": "secret", "mount_accessor": "", "mount_path": e.Mount + "/", "plugin": "kv", "version": n.kind[3:5],
			},
		},
	}
}

// ending is how a subscription ends, for its subscriber: where it may subscribe again, with
// the code after which clients do (RFC 6455 section 7.4.1).
func ending(err error) (websocket.StatusCode, string) {
	for known, as := range map[error]struct {
		code   websocket.StatusCode
		reason string
	}{
		events.ErrEnded:    {websocket.StatusPolicyViolation, "the credential or its session has ended"},
		events.ErrSlow:     {websocket.StatusTryAgainLater, "the subscriber was too slow: subscribe again"},
		events.ErrReloaded: {websocket.StatusServiceRestart, "the policy has changed: subscribe again"},
		events.ErrClosed:   {websocket.StatusGoingAway, "the gateway is stopping: subscribe again"},
	} {
		if errors.Is(err, known) {
			return as.code, as.reason
		}
	}
	return websocket.StatusGoingAway, "the stream has ended: subscribe again"
}

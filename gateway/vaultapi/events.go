package vaultapi

import (
	"context"
	"crypto/rand"
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
	edge.Streaming(w)
	conn, err := websocket.Accept(w, q.http, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the edge has looked at the origin
	if err != nil {
		return // it is answered
	}
	defer func() { _ = conn.CloseNow() }() // closed already when all is well
	conn.SetReadLimit(maxMessage)
	ctx := conn.CloseRead(q.http.Context())
	err = a.deliver(ctx, conn, rd, q)
	_ = conn.Close(websocket.StatusGoingAway, reason(err))
}

// subscription is a caller's place in the event log. It is on record, and so is why there is none.
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
	case strings.Count(q.params["type"], "*") > maxStars:
		r.Bad = call.Errorf(call.InvalidRequest, "a type of events has at most %d stars", maxStars)
	}
	err = a.Change(q.http.Context(), r, func(context.Context) (err error) {
		rd, err = a.Events.Subscribe(q.caller, "vault", events.Filter{Kinds: []events.Kind{events.ResourceChanged}, Topics: a.Topics(q.caller)}, "")
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
		e, _, err := rd.Next(ctx, a.KeepAlive)
		// Without an answer whether the session is still there, an event is not sent: the client
		// subscribes again. A ping says nothing, so it may be.
		if now, _, away := a.own(ctx, q); session && now == nil && (away == nil || err == nil) {
			return events.ErrEnded
		}
		limited, done := context.WithTimeout(ctx, writeTimeout)
		switch {
		case errors.Is(err, events.ErrIdle):
			err = conn.Ping(limited)
		case err == nil:
			err = a.notify(limited, conn, e, q.params["type"])
		}
		done()
		if err != nil {
			return err
		}
	}
}

// notify sends one event, if it is of a type that is wanted.
func (a *API) notify(ctx context.Context, conn *websocket.Conn, e events.Event, wanted string) error {
	kind := a.kind(e)
	if !matches(wanted, kind) {
		return nil
	}
	raw, err := json.Marshal(a.notification(e, kind), json.Deterministic(true))
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
func (a *API) kind(e events.Event) string {
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
func (a *API) notification(e events.Event, kind string) map[string]any {
	below := e.Path.String()
	data := e.Mount + "/data/" + below
	if strings.HasPrefix(kind, "kv-v1/") {
		data = e.Mount + "/" + below
	}
	facts := map[string]string{"data_path": data, "path": data, "operation": path.Base(kind), "modified": "true"}
	if e.Version > 0 {
		facts["current_version"] = strconv.Itoa(e.Version)
	}
	id := rand.Text()
	return map[string]any{
		"id": id, "source": "portcullis", "specversion": "1.0", "type": "*", "datacontenttype": "application/cloudevents", "time": e.Time.UTC(),
		"data": map[string]any{
			"event":      map[string]any{"id": id, "metadata": facts},
			"event_type": kind,
			"plugin_info": map[string]string{
				"mount_class": "secret", "mount_accessor": "", "mount_path": e.Mount + "/", "plugin": "kv", "version": kind[3:5],
			},
		},
	}
}

// reason is why a subscription ends, for its subscriber.
func reason(err error) string {
	for _, known := range []error{events.ErrSlow, events.ErrEnded, events.ErrReloaded, events.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the stream has ended"
}

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
)

// Change is a change of a secret that Vault reports. It holds names, never values.
type Change struct {
	Operation string    // as Vault calls it: data-write, data-patch, ...
	Path      call.Path // below the mount
	Version   int       // the current one after it, 0 when Vault does not say
}

// Listener receives the changes below a KV mount. Its functions are called one after
// the other.
type Listener struct {
	Mount   string
	Opened  func() // from now on changes are reported, as well as Vault can
	Closed  func() // from now on they are not
	Changed func(Change)
}

// ErrNoEvents says that Vault has no event stream: it is a Community Edition, or
// older than 1.16.
var ErrNoEvents = errors.New("vault has no event stream")

// Listen opens Vault's event stream with the gateway's own token, and again whenever
// it ends, until ctx does. The stream holds no values (Vault docs, event
// notifications); what it says of other mounts and namespaces, and of the lease registry,
// is passed over. Vault may lose a notification.
//
// Only Vault Enterprise has the stream. This has been tested against a server that
// speaks the documented protocol, and not against Vault Enterprise itself.
func (c *Client) Listen(ctx context.Context, l Listener) error {
	known := false
	for failures := 0; ; {
		began := time.Now()
		opened, err := c.listen(ctx, l)
		known = known || opened
		switch {
		case ctx.Err() != nil:
			return nil
		case !known && call.Is(err, call.NotFound):
			return ErrNoEvents
		case errors.Is(err, errOtherToken):
			continue
		case opened || failures == 0:
			c.log.Warn("Vault's event stream is not open; changes made past the gateway are found by polling until it is, and the gateway opens it again", "cause", err)
		}
		if opened && time.Since(began) > slowest {
			failures = 0
		}
		failures++
		if !retry.Sleep(ctx, retry.Backoff(failures, time.Second, slowest)) {
			return nil
		}
	}
}

// slowest is the longest wait before the stream is opened again.
const slowest = time.Minute

// notification is what is read of one (Vault docs, event notifications: CloudEvents).
type notification struct {
	Data struct {
		Event struct {
			Metadata struct {
				Path      string `json:"path"`
				Operation string `json:"operation"`
				Modified  any    `json:"modified"`
				Version   any    `json:"current_version"`
			} `json:"metadata"`
		} `json:"event"`
		Namespace string `json:"namespace"`
		Plugin    struct {
			Mount string `json:"mount_path"`
		} `json:"plugin_info"`
	} `json:"data"`
}

var errNotification = errors.New("not a notification")

// change is the change that a message reports, ok is false when it is none of the
// mount's.
func (s *stream) change(message []byte) (ch Change, ok bool, err error) {
	var n notification
	if json.Unmarshal(message, &n) != nil {
		return ch, false, errNotification
	}
	m := n.Data.Event.Metadata
	if m.Path == "" || m.Operation == "" {
		return ch, false, errNotification
	}
	if strings.Trim(n.Data.Namespace, "/") != s.namespace || strings.Trim(n.Data.Plugin.Mount, "/") != s.Mount || fmt.Sprint(m.Modified) == "false" {
		return ch, false, nil
	}
	rest, ours := strings.CutPrefix(m.Path, s.Mount+"/")
	_, path, below := strings.Cut(rest, "/") // data/, delete/, metadata/, ...
	p, err := call.ParsePath(path)
	if !ours || !below || err != nil || s.client.registry.Contains(call.Resource{Mount: s.Mount, Path: p}) {
		return ch, false, nil
	}
	version, _ := strconv.Atoi(fmt.Sprint(m.Version)) // 0 when it is not said
	return Change{m.Operation, p, version}, true, nil
}

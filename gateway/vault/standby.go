package vault

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// standby is what is known of a Vault that is not the active node of its cluster. As
// a rule such a node forwards requests and answers like the active one. One that
// cannot forward redirects (Vault docs, concepts/ha), and it does so as well when it
// has forwarded a request and lost the answer: then a redirect does not say that
// nothing was done. Where redirects have been seen, what is not a read therefore asks
// not to be forwarded; what redirects that has done nothing.
type standby struct{ seen atomic.Int64 } // when a request was redirected that could have been forwarded, Unix seconds

// standbyFor is how long a redirect is remembered.
const standbyFor = time.Minute

func (s *standby) redirects() bool {
	return time.Since(time.Unix(s.seen.Load(), 0)) < standbyFor
}

// redirect is the request for where the answer says; only the node changes, never
// what is asked of it. stayed says that it was not to be forwarded.
func (s *standby) redirect(r wire.Request, resp *api.Response, stayed bool) (wire.Request, error) {
	if !stayed {
		s.seen.Store(time.Now().Unix())
	}
	to, err := resp.Location()
	switch {
	case resp.StatusCode != http.StatusTemporaryRedirect || err != nil || to.Host == "":
		return r, call.Wrap(call.VaultError, "Vault error", errors.New("vault answered with a redirect that is none of a standby's"))
	case !r.ReadOnly() && !stayed:
		return r, call.Wrap(call.OutcomeUnknown, "Vault did not answer; whether the change was made is not known", errors.New("a standby may have forwarded the request before it redirected"))
	case r.Node != nil:
		return r, unavailable(errors.New("vault's nodes do not agree which is the active one"))
	case resp.Request.URL.Scheme == "https" && to.Scheme != "https", to.Scheme != "http" && to.Scheme != "https", to.RequestURI() != resp.Request.URL.RequestURI(), to.User != nil:
		return r, call.Wrap(call.VaultError, "Vault error", errors.New("vault redirects to something else"))
	}
	r.Node = &url.URL{Scheme: to.Scheme, Host: to.Host}
	return r, nil
}

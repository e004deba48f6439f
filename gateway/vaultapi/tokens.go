package vaultapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Everything about tokens is about the gateway's own credentials and sessions (Vault
// API, auth/token and auth/*/login).

// login answers a login with a session. A credential that is not good is refused as it
// is everywhere else.
func (a *API) login(w http.ResponseWriter, q *request, s *question) {
	r, err := s.credential(q)
	if err != nil {
		WriteError(w, err, "")
		return
	}
	c, err := a.Sessions.Login(r)
	if id := q.text("role_id"); err == nil && id != "" && id != c.KeyID {
		err = call.Errorf(call.Unauthenticated, "invalid role or secret ID")
	}
	if err != nil {
		a.refused(w, q.http, call.AsError(err))
		return
	}
	out, err := a.admitted(q, c)
	respond(w, q, out, err)
}

// admitted begins the session of a login, on record.
func (a *API) admitted(q *request, c *call.Caller) (out *reply, err error) {
	err = a.Change(q.http.Context(), &op.Request{ID: q.id, Transport: op.VaultAPI, Op: "vault.login", Caller: c}, func(ctx context.Context) (err error) {
		out, err = a.session(ctx, c, 0)
		return err
	})
	return out, err
}

// bare is a request without the credentials that it came with.
func bare(q *request) *http.Request {
	r := *q.http
	r.Header = q.http.Header.Clone()
	for _, name := range []string{"X-Vault-Token", "Authorization", "X-Api-Key"} {
		r.Header.Del(name)
	}
	return &r
}

// byKey is an AppRole login: the id of an API key and the key.
func byKey(q *request) (*http.Request, error) {
	if q.text("role_id") == "" || q.text("secret_id") == "" {
		return nil, call.Errorf(call.InvalidRequest, "missing role_id or secret_id: they are the id of an API key and the key")
	}
	r := bare(q)
	r.Header.Set("X-Api-Key", q.text("secret_id"))
	return r, nil
}

// byJWT is a login with a JWT. The role is not asked for: the token says who calls.
func byJWT(q *request) (*http.Request, error) {
	if q.text("jwt") == "" {
		return nil, call.Errorf(call.InvalidRequest, "missing jwt")
	}
	return bearing(bare(q), q.text("jwt")), nil
}

// byCertificate is a login with the connection's client certificate.
func byCertificate(q *request) (*http.Request, error) { return bare(q), nil }

// session begins a session and answers with it.
func (a *API) session(ctx context.Context, c *call.Caller, ttl time.Duration, parents ...string) (*reply, error) {
	token, one, err := a.Sessions.begin(ctx, c, ttl, parents...)
	if err != nil {
		return nil, err
	}
	return &reply{Auth: auth(token, one, time.Until(one.expires))}, nil
}

func auth(token string, one *session, left time.Duration) map[string]any {
	return map[string]any{
		"client_token": token, "accessor": one.accessor, "policies": []string{"default"}, "token_policies": []string{"default"},
		"metadata": map[string]string{"subject": one.caller.Subject, "tenant": one.caller.Tenant}, "lease_duration": int(left.Round(time.Second).Seconds()),
		"renewable": true, "entity_id": "", "token_type": "service", "orphan": len(one.parents) == 0, "mfa_requirement": nil, "num_uses": 0,
	}
}

// child begins a session from another credential. It never outlives it: where that is a
// session, it ends when that is revoked, as with Vault's tokens.
func (a *API) child(q *request) (*reply, error) {
	ttl, err := q.duration("ttl", "explicit_max_ttl", "period")
	if err != nil {
		return nil, err
	}
	one, token, err := a.own(q.http.Context(), q)
	if err != nil {
		return nil, err
	}
	var parents []string
	if one != nil {
		parents = append([]string{a.Sessions.name(token)}, one.parents...)
	}
	out, err := a.session(q.http.Context(), q.caller, ttl, parents...)
	if _, asked := q.body["policies"]; asked && err == nil {
		out.Warnings = []string{"policies of Vault's have no part in a session: it may do what its caller may, as the gateway's policy says"}
	}
	return out, err
}

// duration is the first of some members that is a duration, 0 for none.
func (q *request) duration(names ...string) (time.Duration, error) {
	for _, name := range names {
		raw := string(q.body[name])
		if text, err := strconv.Unquote(raw); err == nil {
			raw = text
		}
		if raw == "" || raw == "null" || raw == "0" || raw == "0s" {
			continue
		}
		d, err := duration(raw)
		if err != nil || d < 0 {
			return 0, call.Errorf(call.InvalidRequest, "field %s: not a duration", name)
		}
		return d, nil
	}
	return 0, nil
}

// own is the session that a request came with and its token, nil for another credential.
func (a *API) own(ctx context.Context, q *request) (*session, string, error) {
	token, _ := presented(q.http)
	if !strings.HasPrefix(token, mark) {
		return nil, token, nil
	}
	one, _, err := a.Sessions.live(ctx, token)
	return one, token, err
}

// lookupSelf describes the credential. Its id is what the caller has sent: clients that
// log in with a token read it from here.
func (a *API) lookupSelf(q *request) (*reply, error) {
	c := q.caller
	token, _ := presented(q.http)
	d := map[string]any{
		"id": token, "accessor": c.KeyID, "display_name": c.Subject, "entity_id": "", "type": "service", "orphan": true,
		"policies": []string{"default"}, "path": "auth/token", "num_uses": 0, "explicit_max_ttl": 0, "creation_ttl": 0, "ttl": 0,
		"renewable": false, "expire_time": nil, "creation_time": c.AuthTime.Unix(),
		"meta": map[string]string{"subject": c.Subject, "tenant": c.Tenant},
	}
	d["issue_time"] = c.AuthTime.UTC().Format(time.RFC3339)
	if !c.Expires.IsZero() {
		d["ttl"], d["expire_time"] = int(time.Until(c.Expires).Seconds()), c.Expires.UTC().Format(time.RFC3339)
	}
	if c.AuthTime.IsZero() {
		d["creation_time"] = 0
	}
	one, _, err := a.own(q.http.Context(), q)
	if err != nil {
		return nil, err
	}
	if one != nil {
		d["accessor"], d["renewable"], d["creation_time"], d["creation_ttl"] = one.accessor, true, one.created.Unix(), int(one.ttl.Seconds())
		d["issue_time"], d["orphan"] = one.created.UTC().Format(time.RFC3339), len(one.parents) == 0
	}
	return data(d), nil
}

// renewSelf prolongs a session. Any other credential is its issuer's to prolong.
func (a *API) renewSelf(q *request) (*reply, error) {
	one, token, err := a.own(q.http.Context(), q)
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, call.Errorf(call.InvalidRequest, "lease is not renewable: the credential is no session of the gateway's")
	}
	ttl, err := q.duration("increment")
	if err != nil {
		return nil, err
	}
	left, err := a.Sessions.renew(q.http.Context(), token, one, ttl)
	return &reply{Auth: auth(token, one, left)}, err
}

// revokeSelf ends a session. Any other credential is its issuer's to revoke.
func (a *API) revokeSelf(q *request) (*reply, error) {
	one, token, err := a.own(q.http.Context(), q)
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, call.Errorf(call.InvalidRequest, "the credential is no session of the gateway's, so it cannot be revoked here")
	}
	return none(), a.Sessions.revoke(q.http.Context(), token, one)
}

package vaultapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// question is what the gateway answers itself: about mounts, tokens and how it is. It
// reaches Vault only where it is a call of an operation.
type question struct {
	pattern string
	verbs   []verb
	public  bool   // nobody has to say who it is
	name    string // in evidence; empty for what is only charged
	answer  func(*request) (*reply, error)
	route   *route // in the place of answer: an operation
	// ofLease are the operations by the engine of the lease that the request names, in the
	// place of the route's. One that an engine does not have is refused.
	ofLease map[string]string
	// stream, in the place of answer, is one that takes the connection.
	stream func(http.ResponseWriter, *request, *question)
	// mints says that the answer has a token of ours, which nobody wraps.
	mints bool
	// credential, in the place of answer, makes a request that presents what a login has
	// in its body.
	credential func(*request) (*http.Request, error)
}

// questions is the table of them.
func (a *API) questions() []question {
	posted := verbs(write)
	return slices.Concat([]question{
		{pattern: "sys/internal/ui/mounts", verbs: verbs(read), answer: a.mounts},
		{pattern: "sys/internal/ui/mounts/*path", verbs: verbs(read), answer: a.preflight},
		{pattern: "sys/mounts", verbs: verbs(read), answer: a.mounts},
		{pattern: "sys/health", verbs: verbs(read), public: true, answer: a.health},
		{pattern: "sys/seal-status", verbs: verbs(read), public: true, answer: a.sealStatus},
		{pattern: "sys/init", verbs: verbs(read), public: true, answer: a.initialized},
		{pattern: "sys/leader", verbs: verbs(read), public: true, answer: a.leader},
		{pattern: "sys/capabilities-self", verbs: posted, answer: a.capabilities},
		{pattern: eventsPath + "*type", verbs: verbs(read), stream: a.subscribe},
		{pattern: "sys/wrapping/lookup", verbs: posted, answer: a.lookupWrapping},
		{pattern: "auth/token/lookup-self", verbs: verbs(read), answer: a.lookupSelf},
		{pattern: "auth/token/renew-self", verbs: posted, name: "vault.renew_self", mints: true, answer: a.renewSelf},
		{pattern: "auth/token/revoke-self", verbs: posted, name: "vault.revoke_self", answer: a.revokeSelf},
		{pattern: "auth/token/create", verbs: posted, name: "vault.session", mints: true, answer: a.child},
	}, logins(), leaseQuestions())
}

// logins are at the mounts that clients use unless they are told otherwise.
func logins() []question {
	var out []question
	for pattern, credential := range map[string]func(*request) (*http.Request, error){
		"auth/approle/login": byKey, "auth/jwt/login": byJWT, "auth/kubernetes/login": byJWT, "auth/cert/login": byCertificate,
	} {
		out = append(out, question{pattern: pattern, verbs: verbs(write), public: true, mints: true, credential: credential})
	}
	return out
}

// leaseQuestions are about leases, whose ids name their mounts.
func leaseQuestions() []question {
	var out []question
	for _, pattern := range []string{"sys/leases/", "sys/"} {
		for _, id := range []string{"", "/*lease"} {
			out = append(out,
				question{pattern: pattern + "renew" + id, verbs: verbs(write), route: leaseRoute("db.renew"), ofLease: map[string]string{"db": "db.renew", "creds": "creds.renew"}},
				question{pattern: pattern + "revoke" + id, verbs: verbs(write), route: leaseRoute("db.revoke"), ofLease: map[string]string{"db": "db.revoke", "creds": "creds.revoke", "ssh": "ssh.revoke"}})
		}
	}
	return append(out,
		question{pattern: "sys/leases/lookup", verbs: verbs(write), route: lookupRoute(), ofLease: map[string]string{"db": "db.leases", "creds": "db.leases", "ssh": "ssh.lease"}},
		question{pattern: "sys/wrapping/unwrap", verbs: verbs(write), route: unwrapRoute()},
		question{pattern: "cubbyhole/response", verbs: verbs(read), route: responseRoute()},
		question{pattern: "sys/wrapping/rewrap", verbs: verbs(write), route: rewrapRoute()})
}

// ofLease is the row for a question about a lease, whose id begins with its mount. The
// leases of databases and other credentials are on one list, whatever their mounts. What
// an engine does not have is why the request is bad.
func (a *API) ofLease(q *request, s *question, bad error) (route, error) {
	row := *s.route
	engine, m, _, ok := a.locate(leaseID(q))
	if !ok || leaseID(q) == "" {
		return row, bad
	}
	name := s.ofLease[engine]
	switch {
	case name != "":
		row.op = name
	case bad == nil:
		bad = call.Errorf(call.InvalidRequest, "lease is not renewable, or is none")
	}
	if row.op == "ssh.lease" {
		row.args = leaseArgs
	}
	if o := a.Catalogue.Get(row.op); o != nil && o.Engine == engine {
		q.mount = m
	}
	return row, bad
}

// ask finds the row of a question; known says that its path is one of another verb.
func (a *API) ask(q *request) (_ *question, known bool) {
	for i := range a.system {
		s := &a.system[i]
		if !match(s.pattern, q.path, nil) {
			continue
		}
		if slices.Contains(s.verbs, q.verb) {
			q.params = parameters{}
			match(s.pattern, q.path, &q.params)
			return s, true
		}
		known = true
	}
	return nil, known
}

// answer answers a question. bad is why the request cannot be read.
func (a *API) answer(w http.ResponseWriter, q *request, s *question, bad error) {
	if s.route != nil {
		row := *s.route // nothing of the table changes
		if s.ofLease != nil {
			row, bad = a.ofLease(q, s, bad)
		}
		a.do(w, q, &row, bad)
		return
	}
	if s.public && s.credential == nil {
		bad = nil // whoever asks how the gateway is gets an answer
	}
	if how, _, err := delivery(q.http.Header); s.mints && bad == nil && (err != nil || how == call.Wrapped) {
		bad = call.Errorf(call.InvalidRequest, "a session of the gateway's is not wrapped: leave out -wrap-ttl (X-Vault-Wrap-TTL)")
	}
	if s.stream != nil && bad == nil {
		s.stream(w, q, s)
		return
	}
	if q.caller == nil && bad != nil {
		WriteError(w, bad, "")
		return
	}
	if s.credential != nil {
		if q.caller != nil { // somebody who is known already
			bad = a.charge(q, bad)
		}
		if bad != nil {
			WriteError(w, bad, "")
			return
		}
		a.login(w, q, s)
		return
	}
	out, err := a.reply(q, s, bad)
	respond(w, q, out, err)
}

func respond(w http.ResponseWriter, q *request, out *reply, err error) {
	if err != nil {
		WriteError(w, err, "")
		return
	}
	send(w, q, out)
}

// reply is the answer to a question. A question of a caller is charged, and what changes what
// the gateway keeps is done on record.
func (a *API) reply(q *request, s *question, bad error) (out *reply, err error) {
	if q.caller == nil {
		return s.answer(q)
	}
	if s.name == "" {
		if err := a.charge(q, bad); err != nil {
			return nil, err
		}
		return s.answer(q)
	}
	r := &op.Request{ID: q.id, Transport: op.VaultAPI, Op: s.name, Caller: q.caller, Bad: bad}
	err = a.Change(q.http.Context(), r, func(context.Context) (err error) {
		out, err = s.answer(q)
		return err
	})
	return out, err
}

// charge charges for a question that changes nothing.
func (a *API) charge(q *request, bad error) error {
	return a.Admit(q.http.Context(), &op.Request{ID: q.id, Transport: op.VaultAPI, Op: "vault.question", Phase: op.PhaseList, Caller: q.caller, Bad: bad})
}

// engines are the types of mounts, as Vault has them.
func engines() map[string]string {
	return map[string]string{"kv": "kv", "transit": "transit", "db": "database", "ssh": "ssh", "pki": "pki", "totp": "totp", "creds": "creds"}
}

// known are the mounts of the catalogue, by path.
func (a *API) known() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, o := range a.Catalogue.All() {
		for _, m := range o.Mounts() {
			if kind := engines()[o.Engine]; kind != "" && out[m.Path] == nil {
				out[m.Path] = describe(kind, m)
			}
		}
	}
	return out
}

func describe(kind string, m op.Mount) map[string]any {
	d := map[string]any{
		"type": kind, "path": m.Path + "/", "description": "", "accessor": "", "uuid": "", "local": false, "seal_wrap": false,
		"external_entropy_access": false, "options": nil, "plugin_version": "", "running_plugin_version": "", "running_sha256": "", "deprecation_status": "supported",
		"config": map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false},
	}
	if kind == "kv" {
		version := "2"
		if m.KV() == 1 {
			version = "1"
		}
		d["options"] = map[string]string{"version": version}
	}
	return d
}

// mounts lists the mounts that the gateway knows.
func (a *API) mounts(q *request) (*reply, error) {
	all := map[string]any{}
	for path, d := range a.known() {
		all[path+"/"] = d
	}
	if strings.HasPrefix(q.path, "sys/mounts") {
		return data(all), nil
	}
	return data(map[string]any{"secret": all, "auth": map[string]any{}}), nil
}

// preflight says what the mount of a path is, which the commands of vault kv ask first.
func (a *API) preflight(q *request) (*reply, error) {
	path := q.params.get("path")
	if path == "" {
		return a.mounts(q)
	}
	_, m, _, ok := a.locate(path)
	if !ok {
		return nil, call.Errorf(call.Forbidden, "preflight capability check returned 403: the gateway knows no mount at this path")
	}
	return data(a.known()[m.Path]), nil
}

// version is the version of Vault that clients are shown: one that they all can read. It is the
// version whose API this is.
const version = "1.21.1"

// health answers as Vault's own (Vault API, sys/health). What it says of Vault is what
// the gateway can do with it.
func (a *API) health(q *request) (*reply, error) {
	away := a.Ready(q.http.Context()) != nil
	status := map[string]int{"activecode": http.StatusOK, "sealedcode": http.StatusServiceUnavailable}
	for name := range status {
		if text := q.query.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 200 || n > 599 {
				return nil, call.Errorf(call.InvalidRequest, "%s: not a status, from 200 to 599", name)
			}
			status[name] = n
		}
	}
	out := &reply{status: status["activecode"], bare: true, Data: map[string]any{
		"initialized": true, "sealed": away, "standby": false, "performance_standby": false, "replication_performance_mode": "disabled",
		"replication_dr_mode": "disabled", "server_time_utc": time.Now().Unix(), "version": version, "enterprise": false, "cluster_name": "portcullis",
		"cluster_id": "", "echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": 0,
	}}
	if away {
		out.status = status["sealedcode"]
	}
	return out, nil
}

// sealStatus answers as Vault's own (Vault API, sys/seal-status).
func (a *API) sealStatus(q *request) (*reply, error) {
	d := map[string]any{
		"type": "shamir", "initialized": true, "sealed": a.Ready(q.http.Context()) != nil, "t": 1, "n": 1, "progress": 0, "nonce": "",
		"version": version, "build_date": "", "migration": false, "cluster_name": "portcullis", "cluster_id": "", "recovery_seal": false, "storage_type": "gateway",
	}
	return &reply{bare: true, Data: d}, nil
}

// leader answers as a Vault that is alone (Vault API, sys/leader).
func (a *API) leader(*request) (*reply, error) {
	return &reply{bare: true, Data: map[string]any{
		"ha_enabled": false, "is_self": true, "leader_address": "", "leader_cluster_address": "",
		"active_time": "0001-01-01T00:00:00Z", "performance_standby": false, "performance_standby_last_remote_wal": 0,
	}}, nil
}

// initialized answers as a Vault that serves (Vault API, sys/init).
func (a *API) initialized(*request) (*reply, error) {
	return &reply{bare: true, Data: map[string]any{"initialized": true}}, nil
}

// Errors makes errors below /v1/ Vault's, for the edge.
func Errors(r *http.Request) edge.ErrorWriter {
	if !strings.HasPrefix(r.URL.Path, Prefix) {
		return nil
	}
	return WriteError
}

// lookupRoute describes one of the caller's own leases.
func lookupRoute() *route {
	return &route{op: "db.leases", reply: oneLease, args: nothing}
}

func oneLease(q *request, r result) *reply {
	var held []map[string]any
	_ = json.Unmarshal(r.fields["leases"], &held)
	for _, l := range held {
		if l["lease_id"] == leaseID(q) && leaseID(q) != "" {
			d := map[string]any{"id": l["lease_id"], "issue_time": l["issued"], "expire_time": l["expires"], "last_renewal": nil, "renewable": true, "ttl": 0}
			if at, err := time.Parse(time.RFC3339, text(l["expires"])); err == nil {
				d["ttl"] = int(time.Until(at).Seconds())
			}
			return data(d)
		}
	}
	return &reply{status: http.StatusBadRequest, bare: true, Data: map[string]any{"errors": []string{"invalid lease"}}}
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

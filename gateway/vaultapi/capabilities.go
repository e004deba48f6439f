package vaultapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// maxPaths bounds the paths of one question about capabilities, each of which costs a few
// decisions.
const maxPaths = 20

// capabilities says what the caller may do at paths (Vault API, sys/capabilities-self):
// for each verb that the tables have there, the decision point is asked whether it would
// allow a call, of which the arguments are made up. What depends on arguments, a call
// itself finds out.
func (a *API) capabilities(q *request) (*reply, error) {
	var paths []string
	if raw, there := q.body["paths"]; there && json.Unmarshal(raw, &paths) != nil {
		paths = strings.Split(q.text("paths"), ",")
	}
	if one := q.text("path"); one != "" {
		paths = append(paths, one)
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return strings.TrimSpace(p) == "" })
	if len(paths) == 0 || len(paths) > maxPaths {
		return nil, call.Errorf(call.InvalidRequest, "paths must be supplied: from 1 to %d", maxPaths)
	}
	found := map[string]any{}
	for _, p := range paths {
		found[p] = a.allowed(q, p)
	}
	if len(paths) == 1 {
		found["capabilities"] = found[paths[0]]
	}
	whole := map[string]any{"request_id": q.id, "lease_id": "", "renewable": false, "lease_duration": 0, "wrap_info": nil, "warnings": nil, "auth": nil, "mount_type": "system"}
	maps.Copy(whole, found) // Vault has them in both places
	whole["data"] = found
	return &reply{bare: true, Data: whole}, nil
}

// allowed are the capabilities at a path, as Vault calls them, sorted.
func (a *API) allowed(q *request, path string) (can []string) {
	for v, names := range map[verb][]string{
		read: {"read"}, list: {"list"}, write: {"create", "update"}, patch: {"patch"}, remove: {"delete"},
	} {
		if a.allows(q, v, strings.Trim(path, "/")) {
			can = append(can, names...)
		}
	}
	if can == nil {
		return []string{"deny"}
	}
	slices.Sort(can)
	return can
}

// allows reports whether a call with a verb at a path could be allowed.
func (a *API) allows(q *request, v verb, path string) bool {
	asked := &request{http: q.http, caller: q.caller, id: q.id, verb: v, path: path}
	if s, _ := a.ask(asked); s != nil {
		return true
	}
	row, err := a.find(asked)
	if err != nil {
		return false
	}
	for _, body := range a.samples {
		asked.raw, asked.body = []byte(body), nil
		if json.Unmarshal(asked.raw, &asked.body) != nil {
			continue
		}
		args, err := row.arguments(asked)
		if err != nil {
			continue
		}
		yes, err := a.May(q.http.Context(), &op.Request{
			ID: q.id, Transport: op.VaultAPI, Phase: op.PhaseList, Op: row.op, Caller: q.caller, Mount: asked.mount.Path, Absolute: true, Args: args,
		})
		if err == nil {
			return yes
		}
	}
	return false
}

// sampleKey is a public key of nobody's.
const sampleKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAf2P1gNdenfNUd9aXhWI/cpVGH1n76D0IRPbukgP72Z"

// sampleCSR is a certificate request, as a JSON text.
func sampleCSR() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return `""`
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}}, key)
	if err != nil {
		return `""`
	}
	return strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

// samples are bodies of requests, one of which each operation takes.
func samples() []jsontext.Value {
	return []jsontext.Value{
		[]byte(`{}`), []byte(`{"data":{}}`), []byte(`{"versions":[1]}`), []byte(`{"plaintext":""}`), []byte(`{"ciphertext":"vault:v1:AAAA"}`), []byte(`{"input":""}`),
		[]byte(`{"input":"","signature":"vault:v1:AAAA"}`), []byte(`{"ip":"127.0.0.1"}`), []byte(`{"public_key":"` + sampleKey + `"}`),
		[]byte(`{"common_name":"a"}`), []byte(`{"common_name":"a","csr":` + sampleCSR() + `}`), []byte(`{"code":"123456"}`), []byte(`{"max_versions":1}`),
		[]byte(`{"certificate":"a","private_key":"b"}`),
	}
}

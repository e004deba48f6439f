package vaultapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// crypt are the members of requests to transit, by what they are here.
func crypt() map[string]string {
	m := same("plaintext", "ciphertext", "input", "signature", "hmac", "context", "associated_data", "key_version", "prehashed",
		"hash_algorithm", "signature_algorithm", "marshaling_algorithm", "bits", "bytes", "format", "algorithm")
	m["batch_input"] = "items"
	return m
}

// transitRoutes are the transit engine (Vault API, secret/transit).
func transitRoutes() []route {
	row := func(pattern, op string, args func(*request) (map[string]any, error), answer func(*request, result) *reply, v ...verb) route {
		return route{engine: "transit", pattern: pattern, op: op, args: args, reply: answer, verbs: v}
	}
	sealed, opened := batched("ciphertext", "key_version"), batched("plaintext")
	signed, verified, keyed := batched("signature", "key_version"), batched("valid"), batched("hmac")
	return []route{
		row("encrypt/:key", "transit.encrypt", withKey(""), sealed, write),
		row("decrypt/:key", "transit.decrypt", withKey(""), opened, write),
		row("rewrap/:key", "transit.rewrap", withKey(""), sealed, write),
		row("sign/:key", "transit.sign", withKey("hash_algorithm"), signed, write),
		row("sign/:key/:algorithm", "transit.sign", withKey("hash_algorithm"), signed, write),
		row("verify/:key", "transit.verify", withKey("hash_algorithm"), verified, write),
		row("verify/:key/:algorithm", "transit.verify", withKey("hash_algorithm"), verified, write),
		row("hmac/:key", "transit.hmac", withKey("algorithm"), keyed, write),
		row("hmac/:key/:algorithm", "transit.hmac", withKey("algorithm"), keyed, write),
		row("datakey/:type/:key", "transit.datakey", dataKey, batched("ciphertext", "plaintext", "key_version"), write),
		row("random", "transit.random", random, randomBytes, read, write),
		row("random/:bytes", "transit.random", random, randomBytes, read, write),
		row("hash", "transit.hash", digest, batched("sum"), write),
		row("hash/:algorithm", "transit.hash", digest, batched("sum"), write),
		row("keys/:key", "transit.public_key", keyName, publicKey, read),
	}
}

func keyName(q *request) (map[string]any, error) {
	return map[string]any{"key": q.params.get("key")}, nil
}

// withKey takes the key out of the path, and the algorithm under the name that the
// operation has for it. A type and a convergent encryption only matter when a key is
// made, which no operation does.
func withKey(algorithm string) func(*request) (map[string]any, error) {
	return func(q *request) (map[string]any, error) {
		args, _ := keyName(q)
		names := crypt()
		if algorithm != "" {
			names["algorithm"] = algorithm
		}
		if a := q.params.get("algorithm"); a != "" {
			args[algorithm] = a
		}
		return args, q.take(args, names, "type", "convergent_encryption", "partial_failure_response_code")
	}
}

func dataKey(q *request) (map[string]any, error) {
	args := map[string]any{"key": q.params.get("key"), "type": q.params.get("type")}
	return args, q.take(args, same("bits", "context"))
}

func random(q *request) (map[string]any, error) {
	args := map[string]any{}
	if text := q.params.get("bytes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, call.Errorf(call.InvalidRequest, "bytes: not a whole number")
		}
		args["bytes"] = n
	}
	return args, q.take(args, same("bytes", "format"))
}

func digest(q *request) (map[string]any, error) {
	args := map[string]any{"format": "hex"}
	if a := q.params.get("algorithm"); a != "" {
		args["algorithm"] = a
	}
	return args, q.take(args, same("input", "algorithm", "format"))
}

func randomBytes(_ *request, r result) *reply {
	return data(map[string]any{"random_bytes": r.fields["random"]})
}

// batched is the answer of an operation that takes a batch as well. One item that could
// not be done makes the whole answer a 400, as Vault has it.
func batched(fields ...string) func(*request, result) *reply {
	return func(_ *request, r result) *reply {
		var items []map[string]jsontext.Value
		if json.Unmarshal(r.fields["results"], &items) != nil {
			return data(r.only(same(fields...)))
		}
		out, status := make([]map[string]any, len(items)), http.StatusOK
		for i, item := range items {
			out[i] = map[string]any{}
			for _, f := range fields {
				if v, there := item[f]; there {
					out[i][f] = v
				}
			}
			var failed struct {
				Message string `json:"message"`
			}
			if json.Unmarshal(item["error"], &failed) == nil && failed.Message != "" {
				out[i]["error"], status = failed.Message, http.StatusBadRequest
			}
		}
		a := data(map[string]any{"batch_results": out})
		a.status = status
		return a
	}
}

// publicKey is the public part of a key.
func publicKey(_ *request, r result) *reply {
	var versions map[string]string
	_ = json.Unmarshal(r.fields["versions"], &versions)
	keys := map[string]any{}
	for n, pem := range versions {
		keys[n] = map[string]any{"public_key": pem}
	}
	return data(map[string]any{"name": r.fields["key"], "type": r.fields["type"], "latest_version": r.fields["version"], "keys": keys})
}

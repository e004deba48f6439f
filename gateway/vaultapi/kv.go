package vaultapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// kv2Routes are KV version 2 (Vault API, secret/kv/kv-v2).
func kv2Routes() []route {
	row := func(pattern, op string, args func(*request) (map[string]any, error), answer func(*request, result) *reply, v ...verb) route {
		return route{engine: "kv", kv: 2, pattern: pattern, op: op, args: args, reply: answer, verbs: v}
	}
	return []route{
		{engine: "kv", kv: 2, pattern: "data/*path", op: "kv.read", text: atVersion, typed: kvSecret, verbs: verbs(read)},
		row("data/*path", "kv.write", kvWritten, kvFacts, write),
		row("data/*path", "kv.patch", kvWritten, kvFacts, patch),
		row("data/*path", "kv.delete", atPath, empty, remove),
		row("delete/*path", "kv.delete", versions, empty, write),
		row("undelete/*path", "kv.undelete", versions, empty, write),
		row("destroy/*path", "kv.destroy", versions, empty, write),
		row("metadata/*path", "kv.metadata", atPath, kvMetadata, read),
		row("metadata/*path", "kv.list", below, keys, list),
		row("metadata/*path", "kv.set_metadata", putMetadata, empty, write),
		row("metadata/*path", "kv.set_metadata", patchMetadata, empty, patch),
		row("metadata/*path", "kv.delete", everything, empty, remove),
		{engine: "kv", kv: 2, pattern: "subkeys/*path", op: "kv.subkeys", text: atVersion, reply: kvSubkeys, verbs: verbs(read)},
	}
}

// kv1Routes are KV version 1 (Vault API, secret/kv/kv-v1).
func kv1Routes() []route {
	row := func(op string, args func(*request) (map[string]any, error), answer func(*request, result) *reply, v verb) route {
		return route{engine: "kv", kv: 1, pattern: "*path", op: op, args: args, reply: answer, verbs: verbs(v)}
	}
	return []route{
		row("kv.read", atPath, plainData, read),
		row("kv.write", plainWritten, empty, write),
		row("kv.list", below, keys, list),
		row("kv.delete", atPath, empty, remove),
	}
}

func atPath(q *request) (map[string]any, error) {
	return map[string]any{"path": q.params.get("path")}, nil
}

func below(q *request) (map[string]any, error) {
	return map[string]any{"prefix": q.params.get("path")}, nil
}

func everything(q *request) (map[string]any, error) {
	return map[string]any{"path": q.params.get("path"), "all": true}, nil
}

// atVersion takes version and depth out of the query.
func atVersion(q *request) ([]byte, error) {
	path := q.params.get("path")
	b, err := jsontext.AppendQuote(append(make([]byte, 0, len(path)+64), `{"path":`...), path)
	if err != nil {
		return nil, err
	}
	for _, name := range [...]string{"version", "depth"} {
		if text := q.query.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, call.Errorf(call.InvalidRequest, "%s: not a whole number", name)
			}
			b = strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), int64(n), 10)
		}
	}
	return append(b, '}'), nil
}

// kvWritten takes {"data":{...},"options":{"cas":N}}.
func kvWritten(q *request) (map[string]any, error) {
	args, _ := atPath(q)
	data, there := q.body["data"]
	if !there {
		return nil, call.Errorf(call.InvalidRequest, "no data provided")
	}
	args["data"] = data
	var options map[string]jsontext.Value
	if raw, there := q.body["options"]; there && json.Unmarshal(raw, &options) != nil {
		return nil, call.Errorf(call.InvalidRequest, "options: not an object")
	}
	if cas, there := options["cas"]; there {
		args["cas"] = cas
		if cas.Kind() == 'n' {
			args["cas"] = 0 // as Vault reads it: the secret must not be there
		}
	}
	return args, nil
}

func plainWritten(q *request) (map[string]any, error) {
	args, _ := atPath(q)
	if q.body == nil {
		return nil, call.Errorf(call.InvalidRequest, "missing data fields")
	}
	args["data"] = jsontext.Value(q.raw)
	return args, nil
}

func versions(q *request) (map[string]any, error) {
	args, _ := atPath(q)
	args["versions"] = []int{}
	return args, q.take(args, same("versions"))
}

func patchMetadata(q *request) (map[string]any, error) {
	args, _ := atPath(q)
	return args, q.take(args, same("custom_metadata", "max_versions", "cas_required", "delete_version_after"), "options")
}

// putMetadata drops the custom metadata that it does not name, as Vault does.
func putMetadata(q *request) (map[string]any, error) {
	args, err := patchMetadata(q)
	if custom, there := args["custom_metadata"].(jsontext.Value); there {
		if args["replace"] = true; custom.Kind() == 'n' {
			args["custom_metadata"] = map[string]any{}
		}
	}
	return args, err
}

func empty(*request, result) *reply { return none() }

// secret is the data of the answer to a read.
type secret struct {
	Data     jsontext.Value `json:"data"`
	Metadata struct {
		CreatedTime    jsontext.Value `json:"created_time"`
		CustomMetadata jsontext.Value `json:"custom_metadata"`
		DeletionTime   jsontext.Value `json:"deletion_time"`
		Destroyed      bool           `json:"destroyed"`
		Version        jsontext.Value `json:"version"`
	} `json:"metadata"`
}

// kvSecret is the answer to a read. What the operation does not tell has its usual value.
func kvSecret(res *op.Result) (*reply, error) {
	var told struct {
		Data           jsontext.Value `json:"data"`
		Version        jsontext.Value `json:"version"`
		CreatedTime    jsontext.Value `json:"created_time"`
		DeletionTime   jsontext.Value `json:"deletion_time"`
		CustomMetadata jsontext.Value `json:"custom_metadata"`
		Warnings       jsontext.Value `json:"warnings"`
	}
	err := json.Unmarshal(res.Body, &told)
	if res.Done(); err != nil {
		return nil, err
	}
	out := &secret{Data: told.Data}
	m := &out.Metadata
	m.CreatedTime, m.DeletionTime = usually(told.CreatedTime, `""`), usually(told.DeletionTime, `""`)
	m.Version, m.CustomMetadata = usually(told.Version, "0"), told.CustomMetadata
	a := data(out)
	if told.Warnings != nil {
		a.Warnings = told.Warnings
	}
	return a, nil
}

func usually(v jsontext.Value, usual string) jsontext.Value {
	if v == nil {
		return jsontext.Value(usual)
	}
	return v
}

func kvFacts(_ *request, r result) *reply { return data(facts(r)) }

func kvSubkeys(_ *request, r result) *reply {
	return data(map[string]any{"subkeys": r.fields["subkeys"], "metadata": facts(r)})
}

func facts(r result) map[string]any {
	f := map[string]any{
		"version": r.number("version"), "created_time": r.text("created_time"),
		"deletion_time": r.text("deletion_time"), "destroyed": false, "custom_metadata": nil,
	}
	if custom, there := r.fields["custom_metadata"]; there {
		f["custom_metadata"] = custom
	}
	return f
}

func kvMetadata(_ *request, r result) *reply {
	delete(r.fields, "warnings")
	if string(r.fields["custom_metadata"]) == "{}" {
		r.fields["custom_metadata"] = jsontext.Value("null")
	}
	return data(r.fields)
}

// plainTTL is the lease_duration that Vault gives a secret of KV version 1, in seconds.
const plainTTL = 2764800

func plainData(_ *request, r result) *reply {
	return &reply{LeaseDuration: plainTTL, Data: r.fields["data"]}
}

// keys is the answer to a list. To one of nothing Vault says that it is not there.
func keys(_ *request, r result) *reply {
	var names []string
	_ = json.Unmarshal(r.fields["keys"], &names) // what the gateway has made is a list
	return listOf(names)
}

func listOf(names []string) *reply {
	if len(names) == 0 {
		return &reply{status: http.StatusNotFound, bare: true, Data: map[string]any{"errors": []string{}}}
	}
	return data(map[string]any{"keys": names})
}

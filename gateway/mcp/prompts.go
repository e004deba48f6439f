package mcp

import (
	"context"
	"slices"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// argument is an argument of a prompt of ours.
type argument struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	check       func(string) error
}

func pathArgument() argument {
	return argument{"path", "path of the secret below your own prefix", true, func(s string) error {
		_, err := call.ParsePath(s)
		return err
	}}
}

func nameArgument(name, doc string) argument {
	return argument{name, doc, true, func(s string) error {
		_, err := call.ParseName(s)
		return err
	}}
}

// template is a prompt of ours: a text in which {op:kv.read} is a tool's name as
// the client knows it, and {path} an argument.
type template struct {
	name, title, doc, text string
	needs                  []string
	arg                    argument
}

func templates() []template {
	return []template{{
		name: "rotate_secret", title: "Rotate a secret", doc: "Replace the value of a secret without losing a concurrent change.",
		needs: []string{"kv.read", "kv.write"}, arg: pathArgument(),
		text: "Rotate the secret at {path}.\n" +
			"1. Call {op:kv.read} with path {path} and remember its version. Do not repeat its values to anybody.\n" +
			"2. Make new values for the keys that have to change, and keep the other keys as they are.\n" +
			"3. Call {op:kv.write} with path {path}, the whole data, and cas set to the remembered version.\n" +
			"4. If the answer is cas_mismatch, somebody else was faster: begin again at 1.\n" +
			"Report the new version number only.",
	}, {
		name: "borrow_database_credentials", title: "Borrow database credentials", doc: "Get database credentials, use them and give them back.",
		needs: []string{"db.issue_creds", "db.revoke"}, arg: nameArgument("role", "database role to borrow"),
		text: "Borrow credentials of the database role {role}.\n" +
			"1. Call {op:db.issue_creds} with role {role}. Remember the lease_id.\n" +
			"2. Do the work with the username and password. Do not write them down or repeat them.\n" +
			"3. As soon as the work is done, and also when it fails, call {op:db.revoke} with the lease_id.",
	}, {
		name: "sign_file", title: "Sign a file", doc: "Sign a file with a key that never leaves Vault, and check the signature.",
		needs: []string{"transit.sign", "transit.verify"}, arg: nameArgument("key", "signing key"),
		text: "Sign a file with the key {key}.\n" +
			"1. Encode the file's bytes in base64.\n" +
			"2. Call {op:transit.sign} with key {key} and the encoded bytes as input.\n" +
			"3. Call {op:transit.verify} with the same key and input and the signature, and make sure that valid is true.\n" +
			"4. Store the signature beside the file.",
	}, {
		name: "restore_secret", title: "Restore a deleted secret", doc: "Find and bring back a deleted version of a secret.",
		needs: []string{"kv.metadata", "kv.undelete"}, arg: pathArgument(),
		text: "Restore the secret at {path}.\n" +
			"1. Call {op:kv.metadata} with path {path} and find the newest version that is deleted but not destroyed.\n" +
			"2. Call {op:kv.undelete} with path {path} and that version.",
	}}
}

// operationPrompts makes the prompts whose operations exist. A prompt is offered to a
// caller who may call every operation that it needs.
func operationPrompts(s *Server) (out []Prompt) {
	for _, t := range templates() {
		if slices.ContainsFunc(t.needs, func(n string) bool { return s.Catalogue.Get(n) == nil }) {
			continue
		}
		out = append(out, Prompt{
			Name: t.name, Get: t.get, Offered: t.offered,
			Definition: protocol.MustJSON(struct {
				Name        string     `json:"name"`
				Title       string     `json:"title"`
				Description string     `json:"description"`
				Arguments   []argument `json:"arguments"`
			}{t.name, t.title, t.doc, []argument{t.arg}}),
		})
	}
	return out
}

// offered reports whether the caller may make every call that a prompt suggests.
func (t template) offered(ctx context.Context, ex *Exchange) bool {
	return !slices.ContainsFunc(t.needs, func(n string) bool { return !ex.mayCall(ctx, ex.server.Catalogue.Get(n)) })
}

func (t template) get(_ context.Context, ex *Exchange, args map[string]string) (jsontext.Value, error) {
	v := args[t.arg.Name]
	if err := t.arg.check(v); err != nil {
		return nil, protocol.InvalidParams("argument " + t.arg.Name + ": " + call.AsError(err).Msg)
	}
	pairs := []string{"{" + t.arg.Name + "}", v}
	for _, n := range t.needs {
		pairs = append(pairs, "{op:"+n+"}", ex.toolName(ex.server.byName[n]))
	}
	return PromptText(t.doc, strings.NewReplacer(pairs...).Replace(t.text)), nil
}

// PromptText is the result of a prompt that is one text.
func PromptText(doc, text string) jsontext.Value {
	type content struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type message struct {
		Role    string  `json:"role"`
		Content content `json:"content"`
	}
	return protocol.MustJSON(struct {
		Description string    `json:"description"`
		Messages    []message `json:"messages"`
	}{doc, []message{{"user", content{"text", text}}}})
}

// offers reports whether a prompt is of use to the caller.
func (ex *Exchange) offers(ctx context.Context, p *Prompt) bool {
	return p.Offered == nil || p.Offered(ctx, ex)
}

// listPrompts lists the prompts that help this caller (prompts/list).
func (ex *Exchange) listPrompts(ctx context.Context, c cursor) (result, error) {
	p, err := ex.page(c, "prompts", len(ex.server.prompts))
	if err != nil {
		return result{}, err
	}
	items, next := p.take(func(i int) jsontext.Value {
		if pr := &ex.server.prompts[i]; ex.offers(ctx, pr) {
			return pr.Definition
		}
		return nil
	})
	return result{body: listBody("prompts", items, next), cache: true}, nil
}

// promptCall are the params of prompts/get.
type promptCall struct {
	name  string
	args  map[string]string
	input inputParams
}

// maxArguments bounds what is read of a prompt's arguments: finding one by its name
// looks at all of them.
const maxArguments = 16

func readPrompt(r *protocol.Reader) promptCall {
	p := promptCall{name: r.Text("name"), args: map[string]string{}, input: readInputs(r)}
	args := protocol.Reader{O: r.Object("arguments"), Err: r.Err}
	if len(args.O) > maxArguments {
		args.Fail("%s has more members than any prompt has arguments: prompts/list names them", "arguments")
		args.O = nil
	}
	for _, m := range args.O {
		p.args[m.Name] = args.Optional(m.Name)
	}
	r.Err = args.Err
	return p
}

// getPrompt fills a prompt (prompts/get). One that is not offered is unknown.
func (ex *Exchange) getPrompt(ctx context.Context, p promptCall) (result, error) {
	i := slices.IndexFunc(ex.server.prompts, func(o Prompt) bool { return o.Name == p.name })
	if i < 0 || !ex.offers(ctx, &ex.server.prompts[i]) {
		return result{}, protocol.InvalidParams("unknown prompt: prompts/list names yours")
	}
	purpose := "prompt " + p.name
	in, err := ex.readInput(ctx, p.input, purpose)
	if err != nil {
		return result{}, err
	}
	ex.input = in
	body, err := ex.server.prompts[i].Get(ctx, ex, p.args)
	return ex.outcome(ctx, body, err, purpose)
}

package mcp

import (
	"context"
	"strconv"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// refusal is a call that was refused or has failed.
type refusal struct {
	protocol.WireError
	ctx context.Context
	op  *op.Op
	ex  *Exchange
}

// toolError is a failed call as a result. Most clients show a model the text alone, so
// that says everything.
func toolError(r refusal) jsontext.Value {
	type content struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type structured struct {
		Error protocol.WireError `json:"error"`
	}
	return protocol.MustJSON(struct {
		Content    []content  `json:"content"`
		Structured structured `json:"structuredContent"`
		IsError    bool       `json:"isError"`
	}{[]content{{"text", r.text()}}, structured{r.WireError}, true})
}

// text is the refusal for a model: code and message, the reasons that the policy gives
// to callers, what to do next, and the ids by which somebody else finds the call.
func (r refusal) text() string {
	var b strings.Builder
	b.WriteString(string(r.Code) + ": " + r.Message)
	reasons, remedy := said(r.Details)
	for _, s := range reasons {
		b.WriteString("\nreason: " + s)
	}
	for _, s := range []string{remedy, r.remedy()} {
		if s != "" {
			b.WriteString("\nnext: " + s)
			break
		}
	}
	for _, id := range [][2]string{{"decision_id", r.DecisionID}, {"request_id", r.RequestID}} {
		if id[1] != "" {
			b.WriteString("\n" + id[0] + ": " + id[1])
		}
	}
	return b.String()
}

// said reads what the policy says to callers out of the public facts of an error.
func said(details any) (reasons []string, remedy string) {
	if details == nil {
		return nil, ""
	}
	var d struct {
		Reasons []struct {
			Code   string `json:"code"`
			Msg    string `json:"msg"`
			Remedy string `json:"remedy"`
		} `json:"reasons"`
		Remedy string `json:"remedy"`
	}
	raw, err := json.Marshal(details)
	if err != nil || json.Unmarshal(raw, &d) != nil {
		return nil, ""
	}
	remedy = d.Remedy
	for _, r := range d.Reasons {
		s := r.Code
		if r.Msg != "" {
			s = r.Msg + " (" + r.Code + ")"
		}
		reasons = append(reasons, s)
		if remedy == "" {
			remedy = r.Remedy
		}
	}
	return reasons, remedy
}

// remedy is what helps against a code, as far as anything does.
func (r refusal) remedy() string {
	wait := "try again in " + strconv.Itoa(r.RetryAfter) + " s"
	switch r.Code {
	case call.Forbidden:
		return r.granted() + "do not repeat the call; ask an administrator of the gateway for the right, with the decision_id"
	case call.InsufficientScope:
		return "get a credential with the scope " + strings.Join(r.Scopes, " ")
	case call.OnBehalfOfRequired:
		return "repeat the call with _meta " + protocol.MetaBehalf + " set to \"Bearer TOKEN\", a token of the person for whom you act"
	case call.RateLimited, call.LeaseQuota:
		return wait
	case call.NotFound:
		return r.lookFor()
	case call.Deleted:
		return r.tool("kv.undelete") + " brings a version back; " + r.tool("kv.metadata") + " lists the versions"
	case call.CASMismatch:
		return "read the secret again, and write with cas set to the version that you read"
	case call.CASRequired:
		return "set cas to the version that must be the current one, 0 to create"
	case call.InvalidRequest:
		return r.usage()
	case call.OutcomeUnknown:
		return "whether the call was done is not known: look before you repeat it"
	case call.VaultUnavailable, call.VaultAuth, call.PolicyTimeout, call.AuditUnavailable, call.Overloaded:
		return "nothing was done; " + wait
	}
	return ""
}

// granted names the keys or roles that the caller may use, for one that has tried
// another.
func (r refusal) granted() string {
	if names := r.ex.names(r.ctx, r.op); len(names) > 0 {
		return "yours are " + strings.Join(names[:min(len(names), maxNear)], ", ") + "; else "
	}
	return ""
}

// tool is an operation's name as the client knows it.
func (r refusal) tool(name string) string {
	if r.ex.server.dotted() {
		return name
	}
	return underscored(name)
}

// lookFor says how to find what was not found.
func (r refusal) lookFor() string {
	if r.op.Engine != "kv" {
		return "check the name"
	}
	return r.tool("kv.list") + " lists what there is. " + r.pathForm()
}

// pathForm says how the path of a secret is written.
func (r refusal) pathForm() string {
	return "A path is below your own prefix, " + r.ex.Caller.Prefix.String() + ", which is not part of it, and neither is the mount or data/; " +
		"its segments have single slashes between them and none at either end. A resource kv://" + r.ex.server.KVMount + "/FULL/PATH is elsewhere"
}

// usage names the arguments of an operation.
func (r refusal) usage() string {
	var args []string
	in := portable(r.op.In)
	for _, name := range r.op.In.PropertyOrder {
		p, ok := in.Properties[name]
		if !ok {
			continue
		}
		arg := name + " (" + p.Type
		for _, need := range in.Required {
			if need == name {
				arg += ", required"
			}
		}
		args = append(args, arg+")")
	}
	if len(args) == 0 {
		return r.tool(r.op.Name) + " takes no arguments"
	}
	s := r.tool(r.op.Name) + " takes " + strings.Join(args, ", ")
	if r.op.Engine == "kv" && strings.Contains(r.Message, "path") {
		s += ". " + r.pathForm()
	}
	return s
}

package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	strict "github.com/go-json-experiment/json"

	"portcullis/gateway/auth/deny"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// change is what an administrator asks for, read and checked.
type change struct {
	details []op.Detail                        // for evidence
	do      func(context.Context) (any, error) // what is answered
}

// change puts what an administrator changes on record, what came of it as well, and does
// it. A body that cannot be read is a refusal, as everywhere.
func (g *Server) change(w http.ResponseWriter, req *http.Request, r adminRoute, asked *op.Request) {
	var todo change
	if asked.Bad == nil {
		todo, asked.Bad = r.change(req, asked.Caller)
		asked.Details = todo.details
	}
	var out any
	err := g.calls.Change(req.Context(), asked, func(ctx context.Context) (err error) {
		out, err = todo.do(ctx)
		return err
	})
	if err != nil {
		edge.WriteError(w, err, "")
		return
	}
	writeJSON(w, out)
}

// readJSON decodes a body strictly into v.
func readJSON(r *http.Request, v any) error {
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = strict.Unmarshal(raw, v, strict.RejectUnknownMembers(true))
	}
	if err != nil {
		return call.Errorf(call.InvalidRequest, "the body is not the JSON object that this takes; GET / lists it")
	}
	return nil
}

// namesCaller holds what an administrator calls a caller to what can be put on record. It
// may be any text: subjects are what issuers make of them (auth0|7, repo:acme/app), and
// whoever cannot be named cannot be revoked.
func namesCaller(subject, tenant string) error {
	if subject == "" {
		return call.Errorf(call.InvalidRequest, "subject is missing")
	}
	for name, v := range map[string]string{"subject": subject, "tenant": tenant} {
		if len(v) > maxCallerName {
			return call.Errorf(call.InvalidRequest, "%s is longer than %d bytes: take the form that whoami shows as %s, which is shorter", name, maxCallerName, name)
		}
	}
	return nil
}

// maxCallerName is the length up to which a subject or a tenant is taken as its issuer
// says it, in bytes. What callers are known by is never longer than call.MaxName.
const maxCallerName = 1024

// aboutCaller is how evidence says whom a change is about.
func aboutCaller(subject, tenant string) []op.Detail {
	return []op.Detail{{Name: "subject", Value: subject}, {Name: "tenant", Value: tenant}}
}

// revokeCaller shuts a caller out: in the deny list, or where there is none in this
// process, and in Vault at once.
func (g *Server) revokeCaller(r *http.Request, by *call.Caller) (change, error) {
	var in struct {
		Subject string    `json:"subject"`
		Tenant  string    `json:"tenant"`
		Until   time.Time `json:"until"`
		Reason  string    `json:"reason"`
	}
	err := readJSON(r, &in)
	if err == nil {
		err = namesCaller(in.Subject, in.Tenant)
	}
	if err == nil && !in.Until.IsZero() && !time.Now().Before(in.Until) {
		err = call.Errorf(call.InvalidRequest, "until has passed, so nobody would be shut out: leave it out to shut out for ever")
	}
	if err != nil {
		return change{}, err
	}
	details := append(aboutCaller(in.Subject, in.Tenant), op.Detail{Name: "reason", Value: cut(in.Reason), Free: true})
	if !in.Until.IsZero() {
		details = append(details, op.Detail{Name: "until", Value: in.Until.UTC().Format(time.RFC3339)})
	}
	return change{details, func(ctx context.Context) (any, error) {
		until, err := g.shutOut(ctx, deny.Entry{Subject: in.Subject, Tenant: in.Tenant, Until: in.Until, Reason: in.Reason})
		if err != nil {
			g.logs.Server.Error("a caller was to be revoked, and not all of it was done; it is tried again", "subject", in.Subject, "by", by.Subject, "cause", err)
			return nil, err
		}
		g.logs.Server.Warn("a caller was revoked on the administrators' listener", "subject", in.Subject, "by", by.Subject, "until", until)
		return map[string]any{"ok": true, "until": until}, nil
	}}, nil
}

// cut is as much of a text as evidence keeps of a reason.
func cut(text string) string {
	const most = 256
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// readmitCaller takes a revocation back.
func (g *Server) readmitCaller(r *http.Request, by *call.Caller) (change, error) {
	var in struct {
		Subject string `json:"subject"`
		Tenant  string `json:"tenant"`
	}
	err := readJSON(r, &in)
	if err == nil {
		err = namesCaller(in.Subject, in.Tenant)
	}
	if err != nil {
		return change{}, err
	}
	return change{aboutCaller(in.Subject, in.Tenant), func(ctx context.Context) (any, error) {
		if err := g.readmit(ctx, in.Subject, in.Tenant); err != nil {
			return nil, err
		}
		g.logs.Server.Warn("a revocation was taken back on the administrators' listener", "subject", in.Subject, "by", by.Subject)
		return map[string]any{"ok": true}, nil
	}}, nil
}

// changeLevel changes the level of the logs.
func (g *Server) changeLevel(r *http.Request, by *call.Caller) (change, error) {
	var in struct {
		Level string `json:"level"`
	}
	var l slog.Level
	err := readJSON(r, &in)
	if err == nil && l.UnmarshalText([]byte(in.Level)) != nil {
		err = call.Errorf(call.InvalidRequest, "level must be debug, info, warn or error")
	}
	if err != nil {
		return change{}, err
	}
	return change{[]op.Detail{{Name: "level", Value: l.String()}}, func(ctx context.Context) (any, error) {
		before := g.level.Level()
		g.level.Set(l)
		g.logs.Server.Log(ctx, max(slog.LevelInfo, l), "the level of the logs was changed", "from", before.String(), "to", l.String(), "by", by.Subject)
		return g.levelNow(), nil
	}}, nil
}

func (g *Server) levelNow() any {
	return map[string]any{"level": strings.ToLower(g.level.Level().String())}
}

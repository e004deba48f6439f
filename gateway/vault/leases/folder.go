package leases

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// folder holds the entries of one caller. Leases and the tokens that they were issued
// with have a folder each.
type folder struct {
	registry *Registry
	key      string // the caller's, empty for a folder of folders
	path     string // below the registry's
}

func (r *Registry) folder(key, path string) folder { return folder{r, key, path} }

// leases is the folder of a caller's leases. Callers without a tenant are kept apart from
// the tenants, so that no tenant's name makes two callers share a folder.
func (r *Registry) leases(key string) folder { return r.folder(key, callerPath(key)) }

// tokens is the folder of the tokens that a caller's leases depend on.
func (r *Registry) tokens(key string) folder { return r.folder(key, "tokens/"+callerPath(key)) }

func callerPath(key string) string {
	if tenant, subject, _ := strings.Cut(key, "/"); tenant != "" {
		return "tenants/" + tenant + "/" + subject
	}
	return "subjects" + key
}

// send sends one request about the folder; verb is data or metadata, r.Path is below the
// folder.
func (f folder) send(ctx context.Context, r wire.Request, verb string, a *wire.Answer) error {
	at := f.registry.Location
	if at.Mount == "" {
		return call.Errorf(call.Internal, "internal error")
	}
	r.Path = strings.TrimSuffix(at.Mount+"/"+verb+"/"+at.Path.String()+"/"+f.path+"/"+r.Path, "/")
	r.Caller = f.key
	return f.registry.Send(ctx, r, a)
}

// write writes an entry that nobody else has written since it was read; otherwise the
// error is CASMismatch.
func (f folder) write(ctx context.Context, e Entry) error {
	raw, err := json.Marshal(map[string]any{"data": e, "options": map[string]int{"cas": e.version}})
	if err != nil {
		return err
	}
	return f.send(ctx, wire.Request{Method: wire.Put, Path: e.name(), Body: raw}, "data", wire.WantData(&metadata{}))
}

func (f folder) read(ctx context.Context, name string) (Entry, error) {
	var reply entryReply
	err := f.send(ctx, wire.Request{Method: wire.Get, Path: name}, "data", wire.WantData(&reply))
	reply.Data.version = reply.Metadata.Version
	return reply.Data, err
}

func (f folder) remove(ctx context.Context, e Entry) error {
	return f.send(ctx, wire.Request{Method: wire.Delete, Path: e.name()}, "metadata", nil)
}

// names lists the entries without reading them.
func (f folder) names(ctx context.Context) ([]string, error) {
	var list wire.KeyList
	err := f.send(ctx, wire.Request{Method: wire.Get, Query: url.Values{"list": {"true"}}}, "metadata", wire.WantData(&list))
	if call.Is(err, call.NotFound) {
		return nil, nil
	}
	return list.Keys, err
}

// entries reads all entries and removes those that have expired.
func (f folder) entries(ctx context.Context) ([]Entry, error) {
	names, err := f.names(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, name := range names {
		e, err := f.read(ctx, name)
		if call.Is(err, call.NotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		if e.expired() {
			_ = f.remove(ctx, e) // the next listing tries again
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// metadata is what KV version 2 answers to a write.
type metadata struct {
	Version int `json:"version"`
}

// Complete implements wire.Reply.
func (m *metadata) Complete() bool { return m.Version > 0 }

// entryReply is what KV version 2 answers to a read of an entry.
type entryReply struct {
	Data     Entry    `json:"data"`
	Metadata metadata `json:"metadata"`
}

// Complete implements wire.Reply.
func (r *entryReply) Complete() bool {
	return r.Metadata.Complete() && r.Data.Expires > 0 && r.Data.Lease+r.Data.Accessor != ""
}

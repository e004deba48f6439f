package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// mountMCP makes the MCP transport and mounts it. A slash at the end of a URL is what
// people paste, and means the same.
func (g *Server) mountMCP() error {
	view, err := mcp.ParseView(g.cfg.MCPToolsets, "", mcp.Toolsets(g.ops))
	if err != nil {
		return fmt.Errorf("MCP_TOOLSETS: %w", err)
	}
	view.ReadOnly = g.cfg.MCPReadOnly
	var more []mcp.Provider
	if g.options.Providers != nil {
		more = g.options.Providers(g.events)
	}
	lists := g.policy.Over(op.MCP)
	if g.options.Stdio {
		lists = g.policy.Over(op.Stdio)
	}
	g.mcp = mcp.New(mcp.Config{
		Catalogue: g.ops, Do: g.calls.Do, Admit: g.calls.Admit, Change: g.calls.Change, Callable: lists.Callable, Names: lists.Names,
		Granted: g.grantedPaths, Version: g.options.Version, ToolNames: g.cfg.MCPToolNames, View: view,
		Compat: g.cfg.MCPRPCCompat, KVMount: g.cfg.KVMount, Challenge: g.challenge,
		Behalf: g.auth.Behalf, Withdrawn: g.auth.Withdrawn, Budgets: g.budgets, Events: g.events, Providers: more, KeepAlive: g.keepAlive(), Revision: g.policy.InForce,
		Shared: g.sharedSessions(),
		Failed: func(err error) { g.logs.Server.Error("panic in a method", "cause", err) },
	})
	for _, path := range []string{"/mcp", "/mcp/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			g.edge.Handle(method, path, g.mcp.ServeMCP)
		}
	}
	for _, path := range []string{"/mcp/rpc", "/mcp/rpc/"} {
		g.edge.Handle(http.MethodPost, path, g.mcp.ServeRPC)
	}
	return nil
}

// grantedPaths are the paths of secrets outside its own prefix that the data grant a
// caller and that it may list below, sorted.
func (g *Server) grantedPaths(_ context.Context, c *call.Caller) (out []call.Path) {
	for _, n := range g.policy.Granted(c, time.Now()) {
		if n.Engine != "kv" || len(n.Ops) > 0 && !slices.Contains(n.Ops, "kv.list") {
			continue
		}
		if m, _ := g.ops.Get("kv.list").Named(n.Name); m.Path != g.cfg.KVMount {
			continue // listed by the mount alone
		}
		if p, err := call.ParsePath(n.Name); err == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b call.Path) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

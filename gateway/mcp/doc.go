// Package mcp speaks the Model Context Protocol and decides nothing: every tool
// call and every resource read becomes an op.Request for the pipeline.
//
// One endpoint serves both living eras of the protocol. The modern one (revision
// 2026-07-28) has no state: each POST says in _meta and in its headers what it
// is. The legacy one (2025-11-25 and two before it) begins with initialize and
// has sessions. A second endpoint answers plain JSON-RPC and asks for neither.
package mcp

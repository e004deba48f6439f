// Package op declares operations: one typed declaration is the only place where
// an operation exists. From it come its REST route, its MCP tool with input and
// output schema, the policy input, the metric label, the audit name and the
// documents.
//
//	op.New(op.Spec{
//		Name: "kv.read", Engine: "kv", Effect: op.Read,
//		Method: "GET", Path: "/secrets/*path",
//		Title: "Read a secret", Doc: "Read one version of a secret.",
//	}, kvRead) // func(ctx, *vault.Session, kvReadIn) (kvReadOut, error)
//
// The input type says what it acts on by implementing Target; that same value is
// decided on and executed.
package op

package mcp

import (
	"context"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
)

// method is one entry of the protocol's table.
type method struct {
	eras era
	due  due
	// read reads the message's params and returns what runs the request with them.
	read func(*Exchange) (func(context.Context) (result, error), error)
}

// on makes an entry: params are read once, into the struct of the method.
func on[P any](eras era, d due, read func(*protocol.Reader) P, run func(*Exchange, context.Context, P) (result, error)) method {
	return method{eras, d, func(ex *Exchange) (func(context.Context) (result, error), error) {
		r := protocol.Reader{O: ex.msg.Params}
		p := read(&r)
		if r.Err != nil {
			return nil, protocol.InvalidParams("params: " + r.Err.Error())
		}
		return func(ctx context.Context) (result, error) { return run(ex, ctx, p) }, nil
	}}
}

// methods is the protocol. What is not here does not exist. subscriptions/listen is
// here to be known; its stream is opened by serveListen.
func methods() map[string]method {
	return map[string]method{
		"initialize":               on(older, asEvent, readHello, (*Exchange).initialize),
		"server/discover":          on(plain|modern, free, nothing, (*Exchange).discover),
		"ping":                     on(older, free, nothing, (*Exchange).ping),
		"tools/list":               on(every, asList, readCursor, (*Exchange).listTools),
		"tools/call":               on(every, byCall, readToolCall, (*Exchange).callTool),
		"resources/list":           on(every, byCall, readCursor, (*Exchange).listResources),
		"resources/templates/list": on(every, asList, readCursor, (*Exchange).listTemplates),
		"resources/read":           on(every, byCall, readReading, (*Exchange).readResource),
		"prompts/list":             on(every, asList, readCursor, (*Exchange).listPrompts),
		"prompts/get":              on(every, asList, readPrompt, (*Exchange).getPrompt),
		"completion/complete":      on(every, asList, readCompletion, (*Exchange).complete),
		"logging/setLevel":         on(legacy, asEvent, readLevel, (*Exchange).setLevel),
		"resources/subscribe":      on(legacy, asEvent, readURI, (*Exchange).subscribe),
		"resources/unsubscribe":    on(legacy, asEvent, readURI, (*Exchange).unsubscribe),
		protocol.MethodListen:      on(0, asEvent, readListen, (*Exchange).cannotListen),
	}
}

// none are the params of a method that has none.
type none struct{}

func nothing(*protocol.Reader) none { return none{} }

// ping answers that the server lives.
func (ex *Exchange) ping(context.Context, none) (result, error) {
	return result{body: jsontext.Value("{}")}, nil
}

// cannotListen is the answer where there are no streams.
func (ex *Exchange) cannotListen(context.Context, listenTo) (result, error) {
	return result{}, protocol.UnknownMethod()
}

func readCursor(r *protocol.Reader) cursor {
	v := r.Value("cursor")
	return cursor{r.Optional("cursor"), v != nil}
}

// cursor is where a page of a list begins.
type cursor struct {
	text  string
	given bool
}

func readURI(r *protocol.Reader) string { return r.Text("uri") }

package mcp

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
)

// stateLife is how long a client may take to answer.
const stateLife = 10 * time.Minute

// InputRequired ends a tool call or a prompt of the provider with questions to
// the client (MCP 2026-07-28, multi round-trip requests). The client asks again,
// with answers.
type InputRequired struct {
	Requests map[string]InputRequest
	State    []byte // comes back with the answers; the client can neither read nor change it
}

// InputRequest is one question.
type InputRequest struct {
	Method string `json:"method"`
	Params any    `json:"params"`
}

// Error implements error.
func (*InputRequired) Error() string { return "more input is needed" }

// Input is what a client has answered.
type Input struct {
	Responses map[string]jsontext.Value // objects
	State     []byte                    // nil without one
}

// inputParams are the members by which a client answers questions of an earlier round.
type inputParams struct {
	responses protocol.Object
	state     string
	hasState  bool
}

func readInputs(r *protocol.Reader) inputParams {
	p := inputParams{responses: r.Object("inputResponses"), state: r.Optional("requestState")}
	p.hasState = r.Value("requestState") != nil
	return p
}

// readInput reads the answers that came with a request.
func (ex *Exchange) readInput(ctx context.Context, p inputParams, purpose string) (Input, error) {
	in := Input{Responses: map[string]jsontext.Value{}}
	for _, m := range p.responses {
		if m.Value.Kind() != '{' {
			return in, protocol.InvalidParams("an input response must be an object")
		}
		in.Responses[m.Name] = m.Value
	}
	if !p.hasState {
		return in, nil
	}
	var ok bool
	if in.State, ok = ex.server.states.open(ctx, p.state, ex.Caller.Holder()+"\x00"+purpose, time.Now()); !ok {
		return in, protocol.InvalidParams("the requestState is not one that was given out for this")
	}
	return in, nil
}

// Input is what the client has answered to earlier questions of this call.
func (ex *Exchange) Input() Input { return ex.input }

// outcome makes a result of what a tool or prompt returned.
func (ex *Exchange) outcome(ctx context.Context, body jsontext.Value, err error, purpose string) (result, error) {
	need, ok := errors.AsType[*InputRequired](err)
	if !ok {
		return result{body: body}, err
	}
	if ex.era != modern {
		return result{}, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "the client cannot be asked here"}
	}
	reply := struct {
		Requests map[string]InputRequest `json:"inputRequests,omitempty"`
		State    string                  `json:"requestState,omitempty"`
	}{Requests: need.Requests}
	if need.State != nil {
		reply.State = ex.server.states.seal(ctx, need.State, ex.Caller.Holder()+"\x00"+purpose, time.Now())
	}
	return result{kind: "input_required", body: protocol.MustJSON(reply)}, nil
}

// states seals what clients carry for us: encrypted, bound to the caller and to what it is
// for, and of limited life. With a shared key any replica opens what another has sealed.
type states struct {
	own    [32]byte                                    // key of this process
	shared func(context.Context) (_ [32]byte, _ error) // nil for one gateway
}

func newStates(sh *Shared) states {
	var s states
	_, _ = rand.Read(s.own[:]) // never fails
	if sh != nil {
		s.shared = sh.Key
	}
	return s
}

// box seals and opens now. While the shared key cannot be had, what is sealed is for this
// process alone, and nothing else can be opened: the client begins anew.
func (s states) box(ctx context.Context) cipher.AEAD {
	key := s.own
	if s.shared != nil {
		if k, err := s.shared(ctx); err == nil {
			key = k
		}
	}
	block, _ := aes.NewCipher(key[:])             // 32 bytes
	box, _ := cipher.NewGCMWithRandomNonce(block) // a block of AES
	return box
}

func (s states) seal(ctx context.Context, state []byte, bound string, now time.Time) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(now.Add(stateLife).Unix()))
	return base64.RawURLEncoding.EncodeToString(s.box(ctx).Seal(nil, nil, append(plain, state...), []byte(bound)))
}

func (s states) open(ctx context.Context, sealed, bound string, now time.Time) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	plain, err := s.box(ctx).Open(nil, nil, raw, []byte(bound))
	if err != nil || len(plain) < 8 || uint64(now.Unix()) > binary.BigEndian.Uint64(plain) {
		return nil, false
	}
	return plain[8:], true
}

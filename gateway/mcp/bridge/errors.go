package bridge

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// What a client on stdio is told, and whoever reads stderr, when the gateway elsewhere
// cannot be had: what is wrong, and where to look.

// noGateway stands in the place of a code where there is no gateway to give one.
const noGateway = "gateway_unreachable"

// bridgeFault is a failure between the client and the gateway.
func bridgeFault(code call.Code, format string, args ...any) *protocol.Fault {
	msg := fmt.Sprintf(format, args...)
	return &protocol.Fault{Code: protocol.CodeCall, Msg: msg, Data: protocol.WireError{Code: code, Message: msg}}
}

// unreachable says why nothing came back.
func unreachable(err error) *protocol.Fault {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // without the address, which may hold a password
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return bridgeFault(noGateway, "the gateway does not speak TLS at this address: use http:// or the right port")
	}
	if ce, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return bridgeFault(noGateway, "the gateway's certificate is not trusted (%v): if it is right, name the file of its CA in SSL_CERT_FILE", ce.Err)
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok && (oe.Op == "dial" || oe.Op == "remote error") {
		return bridgeFault(noGateway, "the gateway cannot be reached: %v", err)
	}
	return cutOff(err)
}

// cutOff is the answer to a request whose own never came.
func cutOff(err error) *protocol.Fault {
	return bridgeFault(call.OutcomeUnknown, "the gateway gave no complete answer (%v); whether the call was made is not known", err)
}

// refusal says what an HTTP answer without the message that was waited for means.
func (b *Bridge) refusal(resp *http.Response, body []byte) *protocol.Fault {
	answer, status := edgeError(body), resp.StatusCode
	switch {
	case status == http.StatusUnauthorized:
		answer.Code = cmp.Or(answer.Code, call.Unauthenticated)
		answer.Message = fmt.Sprintf("the gateway does not accept the credential from %s (401 %s)", b.Credential, answer.Code)
	case status >= 300 && status < 400:
		return bridgeFault(noGateway, "the address redirects (%d) to %.200q: give the gateway's own address", status, resp.Header.Get("Location"))
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return bridgeFault(noGateway, "there is no MCP endpoint at %s (%d): give the address of the gateway alone, such as http://127.0.0.1:8089", resp.Request.URL.Redacted(), status)
	case status == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server"):
		return bridgeFault(noGateway, "the gateway speaks TLS at this address: use https://")
	case answer.Message != "":
		answer.Message = fmt.Sprintf("the gateway refuses the message: %s (%d %s)", answer.Message, status, answer.Code)
	default:
		return bridgeFault(noGateway, "the address answers %d without an MCP message: it may not be a gateway's", status)
	}
	return &protocol.Fault{Code: protocol.CodeCall, Msg: answer.Message, Data: answer}
}

// edgeError reads the error that the gateway's edge answers with, or that of a message
// without an id.
func edgeError(body []byte) protocol.WireError {
	var edge struct {
		Error struct {
			Code       call.Code `json:"code"`
			Message    string    `json:"message"`
			RequestID  string    `json:"request_id"`
			RetryAfter float64   `json:"retry_after_s"`
		} `json:"error"`
	}
	if e := &edge.Error; json.Unmarshal(body, &edge) == nil {
		return protocol.WireError{Code: e.Code, Message: e.Message, RequestID: e.RequestID, RetryAfter: int(math.Ceil(e.RetryAfter))}
	}
	var rpc struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &rpc) != nil || rpc.Error.Message == "" {
		return protocol.WireError{} // who answers so is not the gateway
	}
	return protocol.WireError{Code: call.InvalidRequest, Message: rpc.Error.Message}
}

// answers reports whether a message that came back is the response to m.
func answers(raw []byte, m *protocol.Message) bool {
	got, f := protocol.Parse(raw)
	return f == nil && got.IsResponse() && sameID(got.ID, m.ID)
}

// sameID compares ids as JSON values: a gateway may write a text's characters in
// another form.
func sameID(a, b jsontext.Value) bool {
	if s, ok := protocol.Text(a); ok {
		t, ok := protocol.Text(b)
		return ok && s == t
	}
	return string(a) == string(b)
}

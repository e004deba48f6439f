package server

import (
	"encoding/json"
	"net/http"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// traceScope is what an administrator's credential must carry to see how the
// policy came to a decision about anybody.
const traceScope = "policy:explain"

// trace answers GET /decisions/{id}/trace on the administrators' listener: the
// record of a decision, and every step of its evaluation.
func (g *Server) trace(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
	record, steps, err := g.policy.Trace(r.Context(), r.PathValue("id"))
	if err != nil {
		edge.WriteError(w, err, "")
		return
	}
	raw, err := json.Marshal(map[string]any{"record": record, "trace": steps})
	if err != nil {
		edge.WriteError(w, err, "")
		return
	}
	edge.WriteJSON(w, http.StatusOK, raw)
}

package ops

import (
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

type kvReadManyIn struct {
	Paths []call.Ref `json:"paths" jsonschema:"paths of the secrets, each as for reading one"`
}

type kvReadManyOut struct {
	Results []readResult `json:"results" jsonschema:"one result for each path, in their order"`
}

type readResult struct {
	Path       string          `json:"path" jsonschema:"the path as it was asked for"`
	Secret     call.SecretJSON `json:"secret,omitzero" jsonschema:"what reading one answers: data, version and created_time, or wrap_info when it is wrapped"`
	Error      *itemError      `json:"error,omitzero" jsonschema:"what went wrong with this one, instead of secret"`
	DecisionID string          `json:"decision_id,omitzero" jsonschema:"the decision about this one, which can be explained"`
}

// kvReadMany is the calls of kv.read that it stands for.
func kvReadMany(in kvReadManyIn) (op.Many[kvReadManyOut], error) {
	if len(in.Paths) == 0 {
		return op.Many[kvReadManyOut]{}, call.Errorf(call.InvalidRequest, `argument paths: empty; wanted is a list, such as ["app/db","app/cache"]`)
	}
	m := op.Many[kvReadManyOut]{Gather: in.gather}
	for _, p := range in.Paths {
		m.Args = append(m.Args, map[string]call.Ref{"path": p})
	}
	return m, nil
}

func (in kvReadManyIn) gather(parts []op.Part) kvReadManyOut {
	out := kvReadManyOut{Results: make([]readResult, len(parts))}
	for i, p := range parts {
		r := readResult{Path: in.Paths[i].String(), DecisionID: p.DecisionID}
		if p.Err != nil {
			r.Error = &itemError{p.Err.Code, p.Err.Msg}
		} else {
			r.Secret = call.NewSecretJSON(p.Body)
		}
		out.Results[i] = r
	}
	return out
}

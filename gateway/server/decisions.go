package server

import (
	"bytes"
	"context"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/call/sealed"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
)

// This file lets any replica explain the decisions of all.

// decisionLife is how long replicas know of each other's decisions.
const decisionLife = time.Hour

// decisionBox seals a decision by its id, which the store does not learn.
func decisionBox(id string) sealed.Box { return sealed.By("decision", id) }

// sharedDecisions are nil for those of this process.
func (g *Server) sharedDecisions() *policy.Shared {
	if g.store == nil {
		return nil
	}
	copies := g.store.NewCopies("decisions", decisionLife)
	return &policy.Shared{
		Write: func(ctx context.Context, told []policy.Told, gone []string) error {
			boxes, names := make(map[string][]byte, len(told)), make([]string, len(gone))
			for _, t := range told {
				b := decisionBox(t.ID)
				boxes[b.Name] = b.SealText(append([]byte(t.Holder+"\n"), t.Record...))
			}
			for i, id := range gone {
				names[i] = decisionBox(id).Name
			}
			return copies.Write(ctx, boxes, names)
		},
		Read: func(ctx context.Context, id string) (*policy.Told, error) {
			b := decisionBox(id)
			data, err := copies.Read(ctx, b.Name)
			if err != nil {
				return nil, call.StoreAway("the decision cannot be looked for now; try again later", err)
			}
			text, ok := b.OpenText(data)
			holder, record, found := bytes.Cut(text, []byte("\n")) // no name of a caller has one
			if !ok || !found {
				return nil, nil
			}
			return &policy.Told{ID: id, Holder: string(holder), Record: record}, nil
		},
	}
}

// explain tells a caller about its own decision, which another replica may have made. One of
// somebody else is like none.
func (g *Server) explain(ctx context.Context, c *call.Caller, id string) (ops.Explanation, error) {
	e, err := g.policy.Explain(ctx, c, id)
	return ops.Explanation{
		DecisionID: e.ID, Time: e.Time.UTC().Format(time.RFC3339Nano), Op: e.Op, Path: e.Path, Allow: e.Allow, Code: e.Code,
		Reasons: e.Reasons, RequiredScopes: e.RequiredScopes, Tier: e.Tier, Deliver: string(e.Deliver),
	}, err
}

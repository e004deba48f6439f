package server

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/call/sealed"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
)

// This file lets any replica explain the decisions of all that run.

// sharedDecision is what a replica tells another of a decision, sealed by its id.
type sharedDecision struct {
	Holder      string             `json:"holder"` // call.Caller.Holder
	Explanation policy.Explanation `json:"explanation"`
}

// decisionAsked is what one asks: part of the id, and the name of its box. Whoever has the
// decision knows the rest, and nobody else learns the id.
type decisionAsked struct {
	Time string `json:"time"`
	Name string `json:"name"`
}

func decisionBox(id string) sealed.Box { return sealed.By("decision", id) }

// openDecisions lets this replica be asked by the part of ids that names its decisions.
func (g *Server) openDecisions() {
	if g.store != nil {
		g.decisions = g.store.NewQuestions("decisions", g.policy.Place())
	}
}

func (g *Server) answerDecisions(ctx context.Context) {
	g.decisions.Run(ctx, nil, func(question []byte) []byte {
		var asked decisionAsked
		if json.Unmarshal(question, &asked) != nil {
			return nil
		}
		holder, e, ok := g.policy.Kept(asked.Time, func(id string) bool { return decisionBox(id).Name == asked.Name })
		if !ok {
			return nil
		}
		return decisionBox(e.ID).Seal(sharedDecision{holder, e})
	})
}

// explain tells a caller about its own decision, which another replica may have made. One of
// somebody else is like none.
func (g *Server) explain(ctx context.Context, c *call.Caller, id string) (ops.Explanation, error) {
	e, err := g.policy.Explain(c, id)
	if call.Is(err, call.NotFound) && g.decisions != nil {
		e, err = g.askForDecision(ctx, c, id, err)
	}
	return explanation(e), err
}

func (g *Server) askForDecision(ctx context.Context, c *call.Caller, id string, absent error) (policy.Explanation, error) {
	at, place, ok := policy.PartsOf(id)
	if !ok || place == g.policy.Place() {
		return policy.Explanation{}, absent
	}
	box := decisionBox(id)
	question, _ := json.Marshal(decisionAsked{at, box.Name}) // texts
	answer, err := g.decisions.Ask(ctx, place, question)
	if err != nil {
		return policy.Explanation{}, call.StoreAway("the decision cannot be looked for now; try again later", err)
	}
	var d sharedDecision
	if answer == nil || !box.Open(answer, &d) || d.Holder != c.Holder() || d.Explanation.ID != id {
		return policy.Explanation{}, absent
	}
	return d.Explanation, nil
}

func explanation(e policy.Explanation) ops.Explanation {
	return ops.Explanation{
		DecisionID: e.ID, Time: e.Time.UTC().Format(time.RFC3339Nano), Op: e.Op, Path: e.Path, Allow: e.Allow, Code: e.Code,
		Reasons: e.Reasons, RequiredScopes: e.RequiredScopes, Tier: e.Tier, Deliver: string(e.Deliver),
	}
}

package program

import (
	"encoding/json"
	"fmt"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

// tiers reads the tiers of the data. A burst that is not given is that of one
// window.
func tiers(data map[string]any) (map[string]op.Tier, error) {
	raw, err := json.Marshal(data["tiers"])
	if err != nil {
		return nil, err
	}
	var in map[string]struct {
		Requests   int            `json:"requests"`
		WindowS    int            `json:"window_s"`
		Burst      *int           `json:"burst"`
		Cost       map[string]int `json:"cost"`
		Streams    int            `json:"streams"`
		Concurrent int            `json:"concurrent"`
		Without    string         `json:"without_store"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("read the tiers: %w", err)
	}
	out := make(map[string]op.Tier, len(in))
	for name, t := range in {
		tier := op.Tier{
			Name: name, Requests: t.Requests, Window: time.Duration(t.WindowS) * time.Second, Burst: t.Requests,
			Costs: t.Cost, Streams: t.Streams, Concurrent: t.Concurrent, WithoutStore: t.Without,
		}
		if t.Burst != nil {
			tier.Burst = *t.Burst
		}
		out[name] = tier
	}
	return out, nil
}

// standard is the tier of who has no other.
const standard = "standard"

// TierOf is a caller's tier: its own in the data, else what its credential was
// registered with, else that of its first role that has one, else standard. It is
// found before the policy is asked, because denied calls are counted as well.
func (p *Program) TierOf(in *document.Principal) string {
	table := lookup(p.Data["tenants"], in.Tenant)
	if t, ok := lookup(lookup(lookup(table, "subjects"), in.ID), "tier").(string); ok {
		return t
	}
	if in.Tier != "" {
		return in.Tier
	}
	for _, role := range in.Roles {
		if t, ok := lookup(lookup(lookup(table, "roles"), role), "tier").(string); ok {
			return t
		}
	}
	return standard
}

package program

import (
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
)

// standard is the tier of callers that have no other.
const standard = "standard"

// TierOf is a caller's tier: its own in the data, else what its credential was
// registered with, else that of its first role that has one, else standard. It is
// found before the policy is asked, because denied calls are counted as well.
func (p *Program) TierOf(in *document.Principal) string {
	table := p.Data.Table(in.Tenant)
	if t, ok := table.Holder(data.Subjects, in.ID).Tier(); ok {
		return t
	}
	if in.Tier != "" {
		return in.Tier
	}
	for _, role := range in.Roles {
		if t, ok := table.Holder(data.Roles, role).Tier(); ok {
			return t
		}
	}
	return standard
}

package policy.deny.team

import rego.v2

# METADATA
# title: What lies below prod is for people
# custom:
#   id: prod.people
deny contains {
	"code": "prod.people",
	"msg": "production is for people; use dev",
	"audience": "agent",
	"rule": "prod.people",
} if {
	input.principal.kind != "human"
	some place in {"shared/prod", "shared/live"}
	place in input.resource.ancestors
}

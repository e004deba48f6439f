package policy.deny.team

import rego.v2

# METADATA
# title: Payroll is for finance, and never for contractors
# custom:
#   id: groups.contractors
deny contains {
	"code": "groups.contractors",
	"msg": "contractors may not use this, whatever else they are",
	"audience": "agent",
	"rule": "groups.contractors",
} if {
	"shared/payroll" in input.resource.ancestors
	some role in input.principal.roles
	startswith(role, "/external/")
}

package policy.deny.team

import rego.v2

# METADATA
# title: Payroll is for the group finance
# custom:
#   id: groups.required
deny contains {
	"code": "groups.required",
	"msg": "only members of the group finance may use this",
	"audience": "agent",
	"rule": "groups.required",
} if {
	"shared/payroll" in input.resource.ancestors
	not "finance" in input.principal.roles
}

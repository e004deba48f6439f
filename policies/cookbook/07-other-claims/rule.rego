package policy.deny.team

import rego.v2

# METADATA
# title: Payroll is for some departments of the company
# custom:
#   id: claims.department
deny contains {
	"code": "claims.department",
	"msg": "this is for finance and audit at example.com",
	"audience": "agent",
	"rule": "claims.department",
} if {
	"shared/payroll" in input.resource.ancestors
	not entitled
}

entitled if {
	input.principal.claims.email_verified == true
	endswith(input.principal.claims.email, "@example.com")
	some department in input.principal.claims.departments
	data.team.team.departments[department]
}

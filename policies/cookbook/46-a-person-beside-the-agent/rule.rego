package policy.deny.team

import rego.v2

# METADATA
# title: Payroll is read for a person alone
# description: |
#   The person's token comes beside the agent's credential (X-On-Behalf-Of), and the grants
#   of both must allow the call. A code that ends in on_behalf_of_required is answered with
#   what to send.
# custom:
#   id: beside.on_behalf_of_required
deny contains {
	"code": "beside.on_behalf_of_required",
	"msg": "say for which person you read payroll",
	"audience": "agent",
	"rule": "beside.on_behalf_of_required",
} if {
	"shared/payroll" in input.resource.ancestors
	not for_a_person
}

for_a_person if input.principal.on_behalf_of.kind == "human"

package gateway

import rego.v2

# METADATA
# title: Tiers
# description: >-
#   The rate tier: the caller's own, else what its credential was registered with,
#   else that of its first role that has one, else standard. It is found without
#   regard to the answer, because denied calls are counted as well.
# custom:
#   id: gateway.tier
tier := own if {
	own := data.tenants[input.principal.tenant].subjects[input.principal.id].tier
} else := input.principal.tier if {
	input.principal.tier != ""
} else := of_roles[0] if {
	input.principal.roles != []
	of_roles := [t | some role in input.principal.roles; t := data.tenants[input.principal.tenant].roles[role].tier]
} else := "standard"

package gateway

import rego.v2

# METADATA
# description: >-
#   The rate tier: the caller's own, else what its credential was registered with,
#   else that of its first role that has one, else standard. It is found without
#   regard to the answer, because denied calls are counted as well.
# custom:
#   id: gateway.tier
tier := subject.tier if {
	subject.tier
} else := input.principal.tier if {
	input.principal.tier != ""
} else := [t | some role in input.principal.roles; t := role_tables[role].tier][0] if {
	count(role_tables) > 0
} else := "standard"

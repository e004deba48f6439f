package policy.deny.team_test

import rego.v2

call(patch) := {"principal": {
	"kind": "human",
	"claims": object.union({"device_compliant": true, "country": "DE", "risk": "low"}, patch),
}}

test_all_is_well if count(data.policy.deny.team.deny) == 0 with input as call({})

test_another_device if count(data.policy.deny.team.deny) == 1 with input as call({"device_compliant": false})

test_another_country if count(data.policy.deny.team.deny) == 1 with input as call({"country": "XX"})

test_a_high_risk if count(data.policy.deny.team.deny) == 1 with input as call({"risk": "high"})

test_nothing_is_known if {
	count(data.policy.deny.team.deny) == 1 with input as {"principal": {"kind": "human", "claims": {}}}
}

test_an_agent if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"kind": "agent", "claims": {}}}
}

package policy.deny.team_test

import rego.v2

call(agent, key) := {
	"action": {"engine": "transit"},
	"principal": {"tenant": "", "acting": {"id": agent}, "on_behalf_of": {"id": "alice", "kind": "human"}},
	"resource": {"path": key},
}

test_both_have_it if {
	count(data.policy.deny.team.deny) == 0 with input as call("copilot", "mcp")
}

test_the_user_alone_has_it if {
	count(data.policy.deny.team.deny) == 1 with input as call("copilot", "payroll")
}

test_nobody_acts if {
	count(data.policy.deny.team.deny) == 0 with input as {"action": {"engine": "transit"}, "principal": {"acting": {"id": "alice"}, "on_behalf_of": null}}
}

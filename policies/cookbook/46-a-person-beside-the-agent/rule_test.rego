package policy.deny.team_test

import rego.v2

call(path, who) := {"principal": {"on_behalf_of": who}, "resource": {"ancestors": [path, "shared"]}}

test_nobody if {
	count(data.policy.deny.team.deny) == 1 with input as call("shared/payroll", null)
}

test_a_person if {
	count(data.policy.deny.team.deny) == 0 with input as call("shared/payroll", {"kind": "human"})
}

test_another_agent if {
	count(data.policy.deny.team.deny) == 1 with input as call("shared/payroll", {"kind": "agent"})
}

test_elsewhere if {
	count(data.policy.deny.team.deny) == 0 with input as call("shared/wiki", null)
}

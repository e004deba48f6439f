package policy.deny.team_test

import rego.v2

call(op, kind) := {"action": {"op": op}, "principal": {"kind": kind}}

test_an_agent_destroys if {
	count(data.policy.deny.team.deny) == 1 with input as call("kv.destroy", "agent")
}

test_an_agent_deletes if {
	count(data.policy.deny.team.deny) == 1 with input as call("kv.delete", "agent")
}

test_a_person_destroys if {
	count(data.policy.deny.team.deny) == 0 with input as call("kv.destroy", "human")
}

test_an_agent_writes if {
	count(data.policy.deny.team.deny) == 0 with input as call("kv.write", "agent")
}

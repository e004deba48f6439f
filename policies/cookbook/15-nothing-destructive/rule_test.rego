package policy.deny.team_test

import rego.v2

call(destructive, kind) := {"action": {"destructive": destructive}, "principal": {"kind": kind}}

test_an_agent_destroys if count(data.policy.deny.team.deny) == 1 with input as call(true, "agent")

test_an_agent_does_not if count(data.policy.deny.team.deny) == 0 with input as call(false, "agent")

test_a_person_destroys if count(data.policy.deny.team.deny) == 0 with input as call(true, "human")

package policy.deny.team_test

import rego.v2

call(kind, agents) := {"principal": {
	"actors": [{"id": id, "kind": "agent"} | some id in agents],
	"on_behalf_of": {"id": "alice", "kind": kind},
}}

codes := {d.code | some d in data.policy.deny.team.deny}

test_known_agents if codes == set() with input as call("human", ["copilot", "planner"])

test_a_stranger_in_between if codes == {"chain.unknown"} with input as call("human", ["copilot", "stranger"])

test_a_stranger_in_front if codes == {"chain.unknown"} with input as call("human", ["stranger", "planner"])

test_two_for_a_service if codes == {"chain.long"} with input as call("service", ["copilot", "planner"])

test_one_for_a_service if codes == set() with input as call("service", ["copilot"])

test_nobody_acts if codes == set() with input as {"principal": {"actors": [], "on_behalf_of": null}}

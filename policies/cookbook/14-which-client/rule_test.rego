package policy.deny.team_test

import rego.v2

call(effect, name) := {"action": {"effect": effect}, "context": {"client": {"name": name}}}

test_a_reviewed_one if count(data.policy.deny.team.deny) == 0 with input as call("issue", "claude-code")

test_another if count(data.policy.deny.team.deny) == 1 with input as call("issue", "curl")

test_one_without_a_name if count(data.policy.deny.team.deny) == 1 with input as call("issue", "")

test_reading if count(data.policy.deny.team.deny) == 0 with input as call("read", "curl")

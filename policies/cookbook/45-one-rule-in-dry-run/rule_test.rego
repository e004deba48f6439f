package policy.deny.team_test

import rego.v2

call(op, keys) := {"action": {"op": op}, "args": {"keys": keys}}

test_without_a_version if {
	data.policy.deny.team.deny[_].mode == "dry_run" with input as call("kv.write", ["path", "data"])
}

test_with_one if count(data.policy.deny.team.deny) == 0 with input as call("kv.write", ["cas", "data", "path"])

test_reading if count(data.policy.deny.team.deny) == 0 with input as call("kv.read", ["path"])

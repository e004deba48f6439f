package policy.deny.team_test

import rego.v2

call(who, effect, date) := {"action": {"effect": effect}, "principal": {"id": who}, "context": {"time": {"date": date}}}

roster := {"ada": "2027-12-31"}

test_on_call if count(data.policy.deny.team.deny) == 0 with input as call("ada", "write", "2026-11-27") with data.team.team.on_call as roster

test_not_on_call if count(data.policy.deny.team.deny) == 1 with input as call("bob", "write", "2026-11-27") with data.team.team.on_call as roster

test_the_pipeline_has_stopped if count(data.policy.deny.team.deny) == 1 with input as call("ada", "delete", "2028-01-01") with data.team.team.on_call as roster

test_reads_are_for_all if count(data.policy.deny.team.deny) == 0 with input as call("bob", "read", "2026-11-27") with data.team.team.on_call as roster

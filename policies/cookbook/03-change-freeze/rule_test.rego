package policy.deny.team_test

import rego.v2

call(effect, date) := {"action": {"effect": effect}, "context": {"time": {"local": {"date": date}}}}

test_before if count(data.policy.deny.team.deny) == 0 with input as call("write", "2026-12-18")

test_on_the_first_day if count(data.policy.deny.team.deny) == 1 with input as call("write", "2026-12-19")

test_on_the_last_day if count(data.policy.deny.team.deny) == 1 with input as call("delete", "2027-01-02")

test_after if count(data.policy.deny.team.deny) == 0 with input as call("issue", "2027-01-03")

test_reading if count(data.policy.deny.team.deny) == 0 with input as call("read", "2026-12-24")

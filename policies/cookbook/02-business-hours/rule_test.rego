package policy.deny.team_test

import rego.v2

call(day, hour) := {
	"action": {"effect": "write"}, "principal": {"kind": "agent"},
	"context": {"time": {"local": {"weekday": day, "hour": hour}}},
}

hours := {"hours": {"from": 8, "until": 18}, "days": {"monday": true}}

test_on_monday_at_noon if count(data.policy.deny.team.deny) == 0 with data.team.team as hours with input as call("monday", 12)

test_at_eight if count(data.policy.deny.team.deny) == 0 with data.team.team as hours with input as call("monday", 8)

test_before_eight if count(data.policy.deny.team.deny) == 1 with data.team.team as hours with input as call("monday", 7)

test_at_six if count(data.policy.deny.team.deny) == 1 with data.team.team as hours with input as call("monday", 18)

test_on_sunday_at_noon if count(data.policy.deny.team.deny) == 1 with data.team.team as hours with input as call("sunday", 12)

test_a_person_on_sunday if {
	count(data.policy.deny.team.deny) == 0 with data.team.team as hours with input as object.union(call("sunday", 12), {"principal": {"kind": "human"}})
}

test_reading_on_sunday if {
	count(data.policy.deny.team.deny) == 0 with data.team.team as hours with input as object.union(call("sunday", 12), {"action": {"effect": "read"}})
}

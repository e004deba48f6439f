package policy.deny.team_test

import rego.v2

call(who, date) := {"action": {"effect": "issue"}, "principal": {"kind": "agent", "id": who}, "context": {"time": {"date": date}}}

ends := {"migrator": "2027-12-31"}

test_exempt if count(data.policy.deny.team.deny) == 0 with input as call("migrator", "2026-11-27") with data.team.team.exempt as ends

test_on_the_last_day if count(data.policy.deny.team.deny) == 0 with input as call("migrator", "2027-12-31") with data.team.team.exempt as ends

test_over if count(data.policy.deny.team.deny) == 1 with input as call("migrator", "2028-01-01") with data.team.team.exempt as ends

test_not_exempt if count(data.policy.deny.team.deny) == 1 with input as call("other", "2026-11-27") with data.team.team.exempt as ends

package policy.deny.team_test

import rego.v2

call(method, age) := {"principal": {"auth": {"method": method, "age_s": age}}}

test_a_young_key if count(data.policy.deny.team.deny) == 0 with input as call("api_key", 7775999)

test_an_old_key if count(data.policy.deny.team.deny) == 1 with input as call("api_key", 7776000)

test_an_unknown_age if count(data.policy.deny.team.deny) == 1 with input as call("api_key", null)

test_a_token if count(data.policy.deny.team.deny) == 0 with input as call("jwt", null)

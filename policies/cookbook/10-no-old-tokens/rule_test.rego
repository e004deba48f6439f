package policy.deny.team_test

import rego.v2

test_young if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"auth": {"method": "jwt", "age_s": 3600}}}
}

test_old if {
	count(data.policy.deny.team.deny) == 1 with input as {"principal": {"auth": {"method": "jwt", "age_s": 3601}}}
}

test_a_key if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"auth": {"method": "api_key", "age_s": 9999}}}
}

test_an_unknown_age if {
	count(data.policy.deny.team.deny) == 1 with input as {"principal": {"auth": {"method": "jwt", "age_s": null}}}
}

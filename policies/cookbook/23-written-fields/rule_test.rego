package policy.deny.team_test

import rego.v2

call(fields) := {
	"action": {"op": "kv.write"}, "resource": {"ancestors": ["shared/db/a", "shared/db", "shared"]},
	"args": {"fields": fields},
}

codes := {d.code | some d in data.policy.deny.team.deny}

test_a_good_one if codes == set() with input as call({"user": 3, "password": 20})

test_with_a_comment if codes == set() with input as call({"user": 3, "password": 20, "comment": 9})

test_with_another_field if codes == {"fields.unknown"} with input as call({"user": 3, "password": 20, "Password": 20})

test_a_field_that_is_too_long if codes == {"fields.unknown"} with input as call({"user": 3, "password": 129})

test_no_password if codes == {"fields.missing"} with input as call({"user": 3})

test_an_empty_user if codes == {"fields.missing"} with input as call({"user": 0, "password": 20})

test_a_patch if codes == {"fields.patched"} with input as object.union(call({"user": 3}), {"action": {"op": "kv.patch"}})

test_a_patch_elsewhere if {
	codes == set() with input as object.union(call({"x": 1}), {"action": {"op": "kv.patch"}, "resource": {"ancestors": ["mcp"]}})
}

test_elsewhere if codes == set() with input as object.union(call({"x": 1}), {"resource": {"ancestors": ["mcp"]}})

package policy.deny.payments_test

import rego.v2

call(effect, kind) := {"action": {"effect": effect}, "principal": {"kind": kind}}

test_an_agent if count(data.policy.deny.payments.deny) == 1 with input as call("write", "agent")

test_a_person if count(data.policy.deny.payments.deny) == 0 with input as call("write", "human")

test_reading if count(data.policy.deny.payments.deny) == 0 with input as call("read", "agent")

package policy.deny.team

import rego.v2

# METADATA
# title: Agents write with a version in hand
# description: >-
#   In dry run it changes nothing: portcullis_policy_dry_run_total{rule} counts the calls
#   that it would refuse, and the log names them. Without "mode" it is enforced.
# custom:
#   id: write.blind
deny contains {
	"code": "write.blind",
	"msg": "say with cas which version is replaced",
	"audience": "agent",
	"rule": "write.blind",
	"mode": "dry_run",
} if {
	input.action.op == "kv.write"
	not "cas" in input.args.keys
}

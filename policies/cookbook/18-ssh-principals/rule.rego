package policy.deny.team

import rego.v2

# METADATA
# title: Nobody signs in as root
# custom:
#   id: ssh.principals
deny contains {
	"code": "ssh.principals",
	"msg": "sign for an account of your own, not for root",
	"audience": "agent",
	"rule": "ssh.principals",
} if {
	input.action.op == "ssh.sign"
	some name in split(input.args.values.valid_principals, ",")
	trim_space(name) == "root"
}

package policy.deny.team

import rego.v2

# METADATA
# title: People change things with a second factor, of the last quarter of an hour
# custom:
#   id: mfa.recent
deny contains {
	"code": "mfa.recent",
	"msg": "sign in again with a second factor",
	"audience": "agent",
	"rule": "mfa.recent",
} if {
	input.action.effect in {"write", "delete", "issue"}
	input.principal.kind == "human"
	not recent
}

# The difference is undefined, and so not recent, where there is no such claim. A rule that
# reads the second keeps its decisions for that second.
recent if {
	"mfa" in input.principal.claims.amr
	input.context.time.unix_s - input.principal.claims.auth_time < 900
}

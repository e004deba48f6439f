package policy.deny.team

import rego.v2

written if {
	input.action.op == "kv.write"
	"shared/db" in input.resource.ancestors
}

# METADATA
# title: Database secrets have these fields and no others
# custom:
#   id: fields.unknown
deny contains {
	"code": "fields.unknown",
	"msg": "write user, password and comment, none longer than it may be",
	"audience": "agent",
	"rule": "fields.unknown",
} if {
	written
	some name, size in input.args.fields
	not fits(name, size)
}

fits(name, size) if size <= data.team.team.fields[name]

# METADATA
# title: Database secrets are whole
# custom:
#   id: fields.missing
deny contains {
	"code": "fields.missing",
	"msg": "write user and password together",
	"audience": "agent",
	"rule": "fields.missing",
} if {
	written
	not whole
}

whole if {
	input.args.fields.user > 0
	input.args.fields.password > 0
}

# METADATA
# title: And are not changed piece by piece
# custom:
#   id: fields.patched
deny contains {
	"code": "fields.patched",
	"msg": "write the whole secret",
	"audience": "agent",
	"rule": "fields.patched",
} if {
	input.action.op == "kv.patch"
	"shared/db" in input.resource.ancestors
}

package gateway

import rego.v2

# METADATA
# title: Grants
# description: >-
#   The grants that cover the resource, each with the name or path that it was
#   found under. Callers without a tenant have the tenant "", whose table is what
#   data.yaml calls grants; the same name in another tenant is another caller.
# custom:
#   id: gateway.grants.subject
grants contains [name, grant] if {
	table := data.tenants[input.principal.tenant].subjects[input.principal.id][input.action.engine]
	some name in input.resource.ancestors
	grant := table[name]
	usable(grant)
}

# METADATA
# custom:
#   id: gateway.grants.role
grants contains [name, grant] if {
	some role in input.principal.roles
	table := data.tenants[input.principal.tenant].roles[role][input.action.engine]
	some name in input.resource.ancestors
	grant := table[name]
	usable(grant)
}

# METADATA
# description: >-
#   Grants with wildcards or templates. The gateway finds those that are for the
#   resource, so that nothing runs through patterns here.
# custom:
#   id: gateway.grants.match
grants contains [match.prefix, grant] if {
	some match in input.resource.matches
	grant := data.tenants[input.principal.tenant][match.table][match.holder][input.action.engine][match.key]
	usable(grant)
}

# METADATA
# description: Most grants say nothing more.
# custom:
#   id: gateway.usable.always
usable(grant) if grant == {}

# METADATA
# custom:
#   id: gateway.usable
usable(grant) if {
	covers(grant)
	live(grant)
}

# METADATA
# description: A grant without ops is for every operation of its engine.
# custom:
#   id: gateway.covers.all
covers(grant) if not grant.ops

# METADATA
# custom:
#   id: gateway.covers
covers(grant) if input.action.op in grant.ops

# METADATA
# custom:
#   id: gateway.live.always
live(grant) if not grant.expires_s

# METADATA
# description: The difference is an error, which denies, for anything but numbers; a comparison would hold for null.
# custom:
#   id: gateway.live
live(grant) if grant.expires_s - input.context.time.unix_s > 0

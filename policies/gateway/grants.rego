package gateway

import rego.v2

# METADATA
# description: What a caller without a tenant was granted by name.
# custom:
#   id: gateway.subject
subject := data.grants.subjects[input.principal.id] if input.principal.tenant == ""

# METADATA
# description: A tenant has tables of its own, so that the same name in another tenant is another caller.
# custom:
#   id: gateway.subject.tenant
subject := data.tenants[input.principal.tenant].subjects[input.principal.id] if input.principal.tenant != ""

# METADATA
# custom:
#   id: gateway.role_tables
role_tables := data.grants.roles if input.principal.tenant == ""

# METADATA
# custom:
#   id: gateway.role_tables.tenant
role_tables := data.tenants[input.principal.tenant].roles if input.principal.tenant != ""

# METADATA
# description: The grants that cover the resource, each with the name or path that it was found under.
# custom:
#   id: gateway.grants.subject
grants contains [name, grant] if {
	some name in input.resource.ancestors
	grant := subject[input.action.engine][name]
	usable(grant)
}

# METADATA
# custom:
#   id: gateway.grants.role
grants contains [name, grant] if {
	some role in input.principal.roles
	some name in input.resource.ancestors
	grant := role_tables[role][input.action.engine][name]
	usable(grant)
}

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
# custom:
#   id: gateway.live
live(grant) if grant.expires_s > input.context.time.unix_s

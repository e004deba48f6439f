package gateway

import rego.v2

# METADATA
# description: The scope that an operation needs, by what it does to the world.
# custom:
#   id: gateway.scope_of
scope_of := {"read": "read", "list": "list", "write": "write", "delete": "delete", "issue": "write"}

# METADATA
# custom:
#   id: gateway.required_scopes
required_scopes := [scope_of[input.action.effect]] if {
	input.action.public == false
} else := []

# METADATA
# description: A public operation is for every authenticated caller.
# custom:
#   id: gateway.scoped.public
scoped if input.action.public == true

# METADATA
# custom:
#   id: gateway.scoped
scoped if scope_of[input.action.effect] in input.principal.scopes

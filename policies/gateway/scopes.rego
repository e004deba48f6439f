package gateway

import rego.v2

# METADATA
# title: Scopes
# description: A public operation is for every authenticated caller.
# custom:
#   id: gateway.required_scopes.public
required_scopes := [] if input.action.public == true

# METADATA
# description: Every other needs the scope of what it does to the world.
# custom:
#   id: gateway.required_scopes.read
required_scopes := ["read"] if {
	input.action.effect == "read"
	input.action.public == false
}

# METADATA
# custom:
#   id: gateway.required_scopes.list
required_scopes := ["list"] if {
	input.action.effect == "list"
	input.action.public == false
}

# METADATA
# custom:
#   id: gateway.required_scopes.write
required_scopes := ["write"] if {
	input.action.effect == "write"
	input.action.public == false
}

# METADATA
# custom:
#   id: gateway.required_scopes.delete
required_scopes := ["delete"] if {
	input.action.effect == "delete"
	input.action.public == false
}

# METADATA
# description: To issue a credential or a lease is to write.
# custom:
#   id: gateway.required_scopes.issue
required_scopes := ["write"] if {
	input.action.effect == "issue"
	input.action.public == false
}

# METADATA
# custom:
#   id: gateway.scoped.public
scoped if input.action.public == true

# METADATA
# custom:
#   id: gateway.scoped
scoped if required_scopes[0] in input.principal.scopes

package gateway

import rego.v2

# METADATA
# description: >-
#   Every caller owns the secrets below its own prefix. ancestors holds whole
#   paths, so team10 is not below team1.
# custom:
#   id: gateway.own
own if {
	input.action.engine == "kv"
	input.principal.prefix != ""
	input.principal.prefix in input.resource.ancestors
}

# METADATA
# description: What names no resource is granted by its scope.
# custom:
#   id: gateway.unnamed
unnamed if {
	input.action.op in {"transit.random", "transit.hash", "db.leases"}
	input.resource.path == ""
}

# METADATA
# custom:
#   id: gateway.granted.self
granted if input.action.engine == "self"

# METADATA
# custom:
#   id: gateway.granted.own
granted if own

# METADATA
# custom:
#   id: gateway.granted.unnamed
granted if unnamed

# METADATA
# custom:
#   id: gateway.granted
granted if count(grants) > 0

# METADATA
# description: What the call is confined to; the gateway checks the resource against it once more.
# custom:
#   id: gateway.path_prefix
path_prefix := input.principal.prefix if {
	own
} else := [name | some name in input.resource.ancestors; some found in grants; found[0] == name][0] if {
	count(grants) > 0
} else := ""

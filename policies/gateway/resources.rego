package gateway

import rego.v2

# METADATA
# title: Resources
# description: >-
#   Every caller owns the secrets below its own prefix. ancestors holds whole
#   paths, so team10 is not below team1.
# custom:
#   id: gateway.granted.own
granted if {
	input.action.engine == "kv"
	input.principal.prefix in input.resource.ancestors
}

# METADATA
# custom:
#   id: gateway.granted.self
granted if input.action.engine in {"self", "sys"}

# METADATA
# description: What names no resource is granted by its scope.
# custom:
#   id: gateway.granted.unnamed
granted if {
	input.action.op in {"transit.random", "transit.hash", "db.leases", "ssh.public_key", "ssh.lookup", "pki.ca", "pki.crl", "pki.list", "pki.revoke"}
	input.action.engine in {"transit", "db", "ssh", "pki"}
	input.resource.path == ""
}

# METADATA
# custom:
#   id: gateway.granted
granted if some _ in grants

# METADATA
# description: >-
#   What an allowed call is confined to: the key, role or name that it is about, or
#   a part of the KV mount. The gateway checks the resource against it once more. The
#   caller's own prefix is found as in gateway.granted.own, written out because a rule
#   for both costs every read of an own secret a step.
# custom:
#   id: gateway.path_prefix
path_prefix := input.resource.path if {
	input.action.engine in {"transit", "db", "ssh", "pki", "totp", "creds"}
} else := input.principal.prefix if {
	input.action.engine == "kv"
	input.principal.prefix in input.resource.ancestors
} else := [name | some name in input.resource.ancestors; some found in grants; found[0] == name][0] if {
	grants != set()
} else := ""

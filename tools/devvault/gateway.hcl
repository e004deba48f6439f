# What the gateway may do with its own token.

# Its agents: one policy each, and tokens that carry it.
path "sys/policies/acl/mcp-agent-*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "auth/token/create/mcp-gateway" {
  capabilities = ["update"]
}
path "auth/token/create/mcp-gateway-lease" {
  capabilities = ["update"]
}

# The engines. No "create" on transit: encrypting with a key that does not exist
# would make it.
path "secret/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "transit/*" {
  capabilities = ["read", "update", "list"]
}
path "database/*" {
  capabilities = ["read", "update", "list"]
}
path "pki/*" {
  capabilities = ["create", "read", "update", "list"]
}
path "totp/code/*" {
  capabilities = ["read", "update"]
}
path "ssh/*" {
  capabilities = ["create", "read", "update", "list"]
}

# Leases and tokens.
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/revoke" {
  capabilities = ["update"]
}
path "sys/wrapping/rewrap" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}
path "auth/token/renew-accessor" {
  capabilities = ["update"]
}
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

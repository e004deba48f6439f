output "role_id" {
  description = "VAULT_ROLE_ID of the gateway, null with Kubernetes."
  value       = one(vault_approle_auth_backend_role.gateway[*].role_id)
}

output "auth_mount" {
  description = "VAULT_AUTH_MOUNT of the gateway."
  value       = var.auth_mount
}

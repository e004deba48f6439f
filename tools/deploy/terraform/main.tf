# Vault's side of Portcullis: who the gateway is, and what it may do. The policy is what
# portcullis vault-setup --callers child --print hcl writes (or --callers gateway, when
# callers use the gateway's own token); give the path of that file. With --print terraform
# the command writes all of this itself, with the token roles that callers' tokens need.
terraform {
  required_version = ">= 1.5"
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 4.4"
    }
  }
}

resource "vault_policy" "gateway" {
  name   = var.name
  policy = file(var.policy_file)
}

resource "vault_auth_backend" "approle" {
  count = var.kubernetes == null && var.create_auth_mount ? 1 : 0
  type  = "approle"
  path  = var.auth_mount
}

resource "vault_approle_auth_backend_role" "gateway" {
  count                 = var.kubernetes == null ? 1 : 0
  backend               = var.auth_mount
  role_name             = var.name
  token_policies        = [vault_policy.gateway.name]
  token_ttl             = var.token_ttl
  token_max_ttl         = var.token_max_ttl
  token_bound_cidrs     = var.bound_cidrs
  secret_id_bound_cidrs = var.bound_cidrs
  secret_id_ttl         = var.secret_id_ttl
  depends_on            = [vault_auth_backend.approle]
}

resource "vault_kubernetes_auth_backend_role" "gateway" {
  count                            = var.kubernetes == null ? 0 : 1
  backend                          = var.auth_mount
  role_name                        = var.name
  bound_service_account_names      = [var.kubernetes.service_account]
  bound_service_account_namespaces = [var.kubernetes.namespace]
  audience                         = var.kubernetes.audience
  token_policies                   = [vault_policy.gateway.name]
  token_ttl                        = var.token_ttl
  token_max_ttl                    = var.token_max_ttl
}

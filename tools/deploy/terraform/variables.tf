variable "name" {
  description = "Name of the policy and of the role."
  type        = string
  default     = "portcullis"
}

variable "policy_file" {
  description = "File with the policy of the gateway itself, as tools/devvault/gateway.hcl."
  type        = string
}

variable "auth_mount" {
  description = "Path of the auth method: AppRole, or Kubernetes when kubernetes is set."
  type        = string
  default     = "approle"
}

variable "create_auth_mount" {
  description = "Whether the AppRole mount is made here."
  type        = bool
  default     = false
}

variable "kubernetes" {
  description = "Log in by service account instead of AppRole."
  type = object({
    service_account = string
    namespace       = string
    audience        = optional(string, "vault")
  })
  default = null
}

variable "bound_cidrs" {
  description = "Addresses that the gateway comes from; empty for any."
  type        = list(string)
  default     = []
}

variable "token_ttl" {
  description = "Seconds that a token lives between renewals."
  type        = number
  default     = 1200
}

variable "token_max_ttl" {
  description = "Seconds after which the gateway logs in again."
  type        = number
  default     = 86400
}

variable "secret_id_ttl" {
  description = "Seconds that a secret id lives; 0 for ever."
  type        = number
  default     = 0
}

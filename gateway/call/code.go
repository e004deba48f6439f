package call

// Code is the public, stable name of what went wrong. Every transport maps each
// code to its own status in one table.
type Code string

// The codes. Codes lists them all.
const (
	Unauthenticated      Code = "unauthenticated"
	AmbiguousCredentials Code = "ambiguous_credentials"
	Forbidden            Code = "forbidden"
	InsufficientScope    Code = "insufficient_scope"
	OnBehalfOfRequired   Code = "on_behalf_of_required" // a rule wants to know on whose behalf the call is made
	RateLimited          Code = "rate_limited"
	InvalidRequest       Code = "invalid_request"
	BodyTooLarge         Code = "body_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	UnknownOperation     Code = "unknown_operation"
	MethodNotAllowed     Code = "method_not_allowed"
	NotFound             Code = "not_found"
	Deleted              Code = "deleted"
	CASMismatch          Code = "cas_mismatch"
	CASRequired          Code = "cas_required"
	LeaseQuota           Code = "lease_quota"
	VaultUnavailable     Code = "vault_unavailable"
	VaultTimeout         Code = "vault_timeout"
	OutcomeUnknown       Code = "outcome_unknown"
	VaultAuth            Code = "vault_auth"
	VaultError           Code = "vault_error"
	PolicyError          Code = "policy_error"
	PolicyTimeout        Code = "policy_timeout"
	AuditUnavailable     Code = "audit_unavailable"
	TransformFailed      Code = "transform_failed"
	TransformUnavailable Code = "transform_unavailable"
	Overloaded           Code = "overloaded"
	Canceled             Code = "canceled"
	Internal             Code = "internal"
)

// Codes lists every code, for tables that must be total.
func Codes() []Code {
	return []Code{
		Unauthenticated, AmbiguousCredentials, Forbidden, InsufficientScope, OnBehalfOfRequired, RateLimited,
		InvalidRequest, BodyTooLarge, UnsupportedMediaType, UnknownOperation, MethodNotAllowed, NotFound, Deleted,
		CASMismatch, CASRequired, LeaseQuota, VaultUnavailable, VaultTimeout, OutcomeUnknown,
		VaultAuth, VaultError, PolicyError, PolicyTimeout, AuditUnavailable, TransformFailed,
		TransformUnavailable, Overloaded, Canceled, Internal,
	}
}

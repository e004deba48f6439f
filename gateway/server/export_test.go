package server

import (
	"portcullis/gateway/obs"
	"portcullis/gateway/policy"
)

// AuthConfig is what authentication gets of a configuration.
var AuthConfig = authConfig

// PolicyPart is what /readyz says of a policy.
func PolicyPart(e *policy.Engine) obs.Part { return (&Server{policy: e}).policyPart() }

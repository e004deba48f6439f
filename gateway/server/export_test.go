package server

// AuthConfig is what authentication gets of a configuration.
var AuthConfig = authConfig

// Package admission decides whether a policy may become active: it must compile, stand
// the lints, pass its own tests, and not be made to fail open.
package admission

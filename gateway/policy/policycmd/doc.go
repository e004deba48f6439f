// Package policycmd is what the policy commands do. Each takes a policy as
// POLICY_DIR does, writes text for people, and returns ErrFound when it found what
// the command is there to find.
package policycmd

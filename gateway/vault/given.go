package vault

import (
	"context"
	"errors"

	"portcullis/gateway/call"
)

// endGiven ends the wrapped answers and the one-time passwords that a caller was given to
// selected credentials and has not used. What is not remembered lives as long as Vault lets
// it.
func (c *Client) endGiven(ctx context.Context, key string, ended func(*call.Caller) bool) error {
	return errors.Join(
		c.wrappings.end(key, ended, func(accessor string) error { return c.callers.RevokeToken(ctx, key, accessor) }),
		c.passwords.end(key, ended, func(lease string) error { return c.registry.RevokeLease(ctx, key, lease) }),
	)
}

// end ends what a caller was given, and forgets what is gone. The rest can be ended again.
func (w *owned) end(key string, ended func(*call.Caller) bool, end func(id string) error) error {
	var problems []error
	for _, one := range w.given(key, ended) {
		if err := end(one.id); err != nil && !call.Is(err, call.NotFound) {
			problems = append(problems, err)
			continue
		}
		w.forget(one)
	}
	return errors.Join(problems...)
}

// given is what a caller was given to selected credentials.
func (w *owned) given(key string, ended func(*call.Caller) bool) (list []*delivered) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.each[key] == 0 {
		return nil
	}
	for _, one := range w.all {
		if call.KeyOf(one.of) == key && ended(one.by) {
			list = append(list, one)
		}
	}
	return list
}

// forget forgets one that may be forgotten already.
func (w *owned) forget(one *delivered) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[one.sum] == one {
		w.drop(one)
	}
}

package dpop

// Note remembers a proof of a caller, as Check does at its end.
func (c *Checker) Note(caller, id string) error { return c.own.note(caller, id) }

package vault

// OverNetHTTP is a configuration with which every request is net/http's.
func OverNetHTTP(c Config) Config {
	c.netHTTP = true
	return c
}

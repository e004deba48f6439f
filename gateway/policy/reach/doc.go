// Package reach says what a policy's data let anybody do, at the most. Data grant and
// rules only take away, so the grants and the few things that the embedded policy gives
// to every caller are an upper bound of all calls that can be allowed.
package reach

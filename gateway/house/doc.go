// Package house holds the rules of the house as tests: what may import what, who
// may mint a grant, how long things may be, what must be said about them.
package house

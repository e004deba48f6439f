// Package lint finds what compiles and is wrong all the same: rules that nothing
// reads, rules that a missing field or an error switches off, and rules that get
// slower with the data. Every finding names the file, the line and the cure.
package lint

// Package program compiles bundles into something that decides: a program is
// immutable, and what it answers is a function of its revision and the input
// alone.
package program

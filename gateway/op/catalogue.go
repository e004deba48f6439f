package op

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/vault"
)

// Catalogue is the set of operations. It is immutable.
type Catalogue struct {
	ops    []*Op
	byName map[string]*Op
}

// NewCatalogue makes a catalogue. Two operations with one name are an error.
func NewCatalogue(ops ...*Op) (*Catalogue, error) {
	c := &Catalogue{ops: slices.Clone(ops), byName: make(map[string]*Op, len(ops))}
	slices.SortFunc(c.ops, func(a, b *Op) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range c.ops {
		if c.byName[o.Name] != nil {
			return nil, fmt.Errorf("operation %s is declared twice", o.Name)
		}
		c.byName[o.Name] = o
	}
	return c, nil
}

// All returns the operations in the order of their names. Do not change it.
func (c *Catalogue) All() []*Op { return c.ops }

// Get returns the operation with a dotted name, nil when there is none.
func (c *Catalogue) Get(name string) *Op { return c.byName[name] }

// Engines are the names of the engines that operations are on, sorted.
func (c *Catalogue) Engines() (names []string) {
	for _, o := range c.ops {
		names = append(names, o.Engine)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// VaultUse is what an operation declares about its requests to Vault, the zero Use for an
// operation that does not exist.
func (c *Catalogue) VaultUse(name string) vault.Use {
	if o := c.byName[name]; o != nil {
		use := o.Vault
		use.Engine = o.Engine
		return use
	}
	return vault.Use{}
}

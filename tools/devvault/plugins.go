package main

import (
	"maps"
	"slices"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// plugins is the catalogue that Vault asks for everything which can be mounted
// by name. It implements Vault's plugincatalog.BuiltinRegistry.
type plugins map[consts.PluginType]map[string]func() (any, error)

// Get returns what makes the plugin.
func (p plugins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	f, ok := p[kind][name]
	return f, ok
}

// Contains says whether there is such a plugin.
func (p plugins) Contains(name string, kind consts.PluginType) bool {
	_, ok := p[kind][name]
	return ok
}

// Keys lists the names of one kind.
func (p plugins) Keys(kind consts.PluginType) []string {
	return slices.Sorted(maps.Keys(p[kind]))
}

// DeprecationStatus is always "supported".
func (p plugins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, p.Contains(name, kind)
}

// IsBuiltinEntPlugin is always false: this is the community edition.
func (p plugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

// factories wraps mount factories the way Vault unwraps them: the plugin "is"
// its factory.
func factories(in map[string]logical.Factory) map[string]func() (any, error) {
	out := make(map[string]func() (any, error), len(in))
	for name, f := range in {
		out[name] = func() (any, error) { return f, nil }
	}
	return out
}

package lint

import (
	"maps"
	"slices"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/program"
)

// Values are the texts that a field of the input can be, for the fields that have a
// list of them. Elements of a list are a star.
type Values map[string][]string

// FixedValues are those that no catalogue changes (policies/README.md).
func FixedValues() Values {
	return Values{
		"principal.kind":        {"agent", "human", "service"},
		"principal.auth.method": {"api_key", "jwt", "mtls"},
		"request.transport":     {"rest", "mcp", "sse", "stdio"},
		"request.phase":         {"call", "list", "stream"},
		"action.effect":         {"read", "list", "write", "delete", "issue"},
		"context.time.weekday":  {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
	}
}

// valuesOf adds what the catalogue and the data have.
func valuesOf(ops []*op.Op, p *program.Program) Values {
	v := FixedValues()
	for _, who := range []string{"acting", "on_behalf_of", "actors.*"} {
		v["principal."+who+".kind"] = v["principal.kind"]
	}
	v["context.time.local.weekday"], v["request.deliver"] = v["context.time.weekday"], []string{"plain", "masked", "wrapped"}
	for _, o := range ops {
		v["action.op"] = append(v["action.op"], o.Name)
		if !slices.Contains(v["action.engine"], o.Engine) {
			v["action.engine"] = append(v["action.engine"], o.Engine)
		}
		if o.Mount != "" && !slices.Contains(v["resource.mount"], o.Mount) {
			v["resource.mount"] = append(v["resource.mount"], o.Mount)
		}
		for _, m := range o.More {
			if !slices.Contains(v["resource.mount"], m.Path) {
				v["resource.mount"] = append(v["resource.mount"], m.Path)
			}
		}
	}
	if v["principal.tier"] = slices.Sorted(maps.Keys(p.Tiers)); !slices.Contains(v["principal.tier"], "standard") {
		v["principal.tier"] = append(v["principal.tier"], "standard")
	}
	return v
}

package program

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowed are the built-in functions that a policy may use. It is a list of what
// is allowed, so that a new version of the engine adds nothing by itself. None of
// them looks at a clock, the network, the process or chance; none parses keys or
// tokens, which never are in the input; none takes any time and memory in one step, as
// bits.lsh does, where nothing can stop it.
func allowed() []string {
	return strings.Fields(`
	assign eq equal neq lt lte gt gte
	plus minus mul div rem abs ceil floor round numbers.range numbers.range_step
	bits.and bits.or bits.xor bits.rsh bits.negate
	count sum product min max sort and or minus union intersection
	array.concat array.flatten array.reverse array.slice
	object.filter object.get object.keys object.remove object.subset object.union object.union_n
	concat contains endswith startswith indexof indexof_n format_int lower upper replace
	split sprintf strings.any_prefix_match strings.any_suffix_match strings.count
	strings.replace_n strings.reverse strings.split_n substring trim trim_left trim_prefix
	trim_right trim_space trim_suffix
	is_array is_boolean is_null is_number is_object is_set is_string type_name to_number
	glob.match glob.quote_meta regex.match regex.is_valid regex.split regex.replace
	net.cidr_contains net.cidr_contains_matches net.cidr_intersects net.cidr_is_valid
	base64.decode base64.encode base64.is_valid base64url.decode base64url.encode
	base64url.encode_no_pad hex.decode hex.encode urlquery.decode urlquery.encode
	json.filter json.remove json.is_valid json.marshal json.unmarshal
	crypto.sha256 crypto.hmac.equal crypto.hmac.sha256
	semver.compare semver.is_valid units.parse units.parse_bytes uri.is_valid uri.parse uuid.parse
	time.add_date time.clock time.date time.diff time.format time.parse_duration_ns
	time.parse_ns time.parse_rfc3339_ns time.weekday
	print internal.print internal.member_2 internal.member_3 internal.template_string
	internal.test_case rego.metadata.rule rego.metadata.chain`)
}

// Capabilities are what a policy is compiled with.
func Capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	names := allowed()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || b.IsDeprecated() || !slices.Contains(names, b.Name)
	})
	c.AllowNet = []string{}
	return c
}

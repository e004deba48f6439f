package opstest

import "strings"

// BadNames are values that no name may have, by what is wrong with them. Those
// with a slash alone are fine for paths, see Field.Bad.
func BadNames() map[string]string {
	return map[string]string{
		"empty": "", "slash": "a/b", "dot": ".", "dots": "..", "up": "../x", "up inside": "a/../../../sys/mounts",
		"double slash": "a//b", "absolute": "/a", "zero byte": "a\x00b", "newline": "a\nb", "escape": "a\x1bb",
		"long": strings.Repeat("a", 10_000), "encoded": "a%2fb", "query": "a?b", "fragment": "a#b", "space": " a",
	}
}

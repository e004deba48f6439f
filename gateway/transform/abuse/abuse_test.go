package abuse_test

import (
	"fmt"
	"testing"

	"portcullis/gateway/transform/abuse"
)

func ExampleModules() {
	for _, m := range abuse.Modules() {
		if m.Name == "infinite loop" {
			fmt.Println(len(m.Bin), m.Stage == abuse.Call)
		}
	}
	// Output: 104 true
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range abuse.Modules() {
		if seen[m.Name] {
			t.Errorf("%s appears twice", m.Name)
		}
		seen[m.Name] = true
	}
}

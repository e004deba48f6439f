package vaultpolicy_test

import (
	"testing"

	"portcullis/gateway/vaultpolicy"
)

// TestAPlanIsPrintedTheSame each time: Terraform knows its resources by their numbers.
func TestAPlanIsPrintedTheSame(t *testing.T) {
	a := vaultpolicy.AppRole{Mount: "approle", Role: "portcullis", Child: &vaultpolicy.Children{Role: "callers", Lease: "leases", Policies: "portcullis-"}}
	for _, form := range []string{"hcl", "cli", "terraform"} {
		first, err := a.Plan().Print(form)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if again, err := a.Plan().Print(form); err != nil || again != first {
				t.Fatalf("%s: %v\n%s\nand then\n%s", form, err, first, again)
			}
		}
	}
}

package program

import (
	"reflect"
	"slices"
	"testing"

	"portcullis/gateway/policy/document"
)

// Every field of a resource is either unknown to a list or known without the resource.
func TestListsDoNotKnowTheResource(t *testing.T) {
	known := []string{"matches", "metadata"}
	r := reflect.TypeFor[document.Resource]()
	for i := range r.NumField() {
		name := r.Field(i).Tag.Get("json")
		if slices.Contains(known, name) == slices.Contains(unplaced(), "input.resource."+name) {
			t.Errorf("%s: want it in one of the lists", name)
		}
	}
}

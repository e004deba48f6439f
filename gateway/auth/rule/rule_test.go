package rule_test

import (
	"errors"
	"fmt"

	"portcullis/gateway/auth/rule"
)

func Example() {
	err := fmt.Errorf("token of today: %w", fmt.Errorf("%w: 5m ago", rule.Expired))
	fmt.Println(errors.Is(err, rule.Expired), rule.Of(err))
	fmt.Println(rule.Of(errors.New("something else")) == "")
	// Output:
	// true claim.exp
	// true
}

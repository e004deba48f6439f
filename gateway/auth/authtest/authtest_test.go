package authtest_test

import (
	"fmt"

	"portcullis/gateway/auth/authtest"
)

func Example() {
	k := authtest.NewKey("ES256", "k")
	header, _, _ := authtest.Parts(k.Sign(authtest.Claims("bot", nil)))
	fmt.Println(header)
	// Output:
	// eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ
}

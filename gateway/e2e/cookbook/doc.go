// Package cookbook makes the calls that every recipe of policies/cookbook is about: to a
// gateway with the recipe as its policy, in front of a real Vault, over REST and as MCP
// tools. Each file of testdata is about the recipe of the same name, see script.
package cookbook

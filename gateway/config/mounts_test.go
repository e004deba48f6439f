package config_test

import (
	"strings"
	"testing"

	"portcullis/gateway/config"
)

// keyless is what a gateway without a credential for Vault is set to, and one setting more.
func keyless(name, v string) map[string]string {
	return map[string]string{"VAULT_CALLERS": "jwt", "OIDC_ISSUER": "https://gateway.test", "VAULT_TOKEN": "", name: v}
}

// TestMounts: engines may be anywhere in Vault, each at a place of its own.
func TestMounts(t *testing.T) {
	for name, tc := range map[string]struct {
		set  map[string]string
		want string // part of the error, empty for none
	}{
		"nothing set":          {},
		"slashes":              {set: map[string]string{"KV_MOUNT": "team/kv", "TRANSIT_MOUNT": "team/transit", "DATABASE_MOUNT": "team/db", "SSH_MOUNT": "team/ssh"}},
		"as Vault lists them":  {set: map[string]string{"KV_MOUNT": "team/kv/", "SSH_MOUNT": " ssh/\n"}},
		"two in one place":     {set: map[string]string{"TRANSIT_MOUNT": "secret"}, want: "KV_MOUNT and TRANSIT_MOUNT: both name secret"},
		"not clean":            {set: map[string]string{"DATABASE_MOUNT": "a//b"}, want: "DATABASE_MOUNT"},
		"upwards":              {set: map[string]string{"SSH_MOUNT": "../sys"}, want: "SSH_MOUNT"},
		"Vault's own":          {set: map[string]string{"TRANSIT_MOUNT": "sys/raw"}, want: "TRANSIT_MOUNT"},
		"another node":         {set: map[string]string{"VAULT_ADDR": "https://a:8200", "VAULT_CLUSTER_ADDRS": "https://b:8200,https://c:8200"}},
		"another node, no URL": {set: map[string]string{"VAULT_CLUSTER_ADDRS": "b"}, want: "VAULT_CLUSTER_ADDRS"},
		"untold versions":      {set: keyless("KV_MOUNTS", "secret,legacy"), want: "mounts: legacy needs version 1 or 2"},
		"told versions":        {set: keyless("MOUNTS", `[{"engine":"kv","path":"legacy","version":1}]`)},
		"prefix of each":       {set: map[string]string{"MOUNTS": `[{"engine":"kv","path":"more","prefix":"x/{tenant}/y-{subject}"}]`}},
		"prefix of several":    {set: map[string]string{"MOUNTS": `[{"engine":"kv","path":"more","prefix":"{tenant}-{subject}"}]`}, want: "in one segment"},
		"another node, clear":  {set: map[string]string{"VAULT_ADDR": "https://a:8200", "VAULT_CLUSTER_ADDRS": "http://b:8200"}, want: "VAULT_CLUSTER_ADDRS: not https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VAULT_TOKEN", "root")
			for k, v := range tc.set {
				t.Setenv(k, v)
			}
			c, err := config.Load(config.Source{})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err == nil && strings.ContainsAny(c.KVMount[len(c.KVMount)-1:]+c.SSHMount[len(c.SSHMount)-1:], "/ \n") {
				t.Errorf("got %q and %q", c.KVMount, c.SSHMount)
			}
		})
	}
}

// Command vaultclientgo makes the common calls of vault-client-go, through the gateway or
// against Vault. The environment has VAULT_ADDR, VAULT_TOKEN and CALLER, below whose name
// it writes; what a line says must be the same for both.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/vault-client-go"
	"github.com/hashicorp/vault-client-go/schema"
)

func main() {
	client, err := vault.New(vault.WithEnvironment(), vault.WithRequestTimeout(30*time.Second))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	own := "mcp/" + os.Getenv("CALLER")
	secrets(client, own)
	others(client, own)
}

// failed is the status of an error, 0 for none.
func failed(err error) int {
	if r := (&vault.ResponseError{}); errors.As(err, &r) {
		return r.StatusCode
	}
	if err != nil {
		return -1
	}
	return 0
}

// at names the mount of what follows.
func at(mount string) vault.RequestOption { return vault.WithMountPath(mount) }

// secrets brings a secret of KV version 2 to its end.
func secrets(client *vault.Client, own string) {
	ctx, kv, path := context.Background(), client.Secrets, own+"/client-go"
	write := func(options map[string]any) error {
		_, err := kv.KvV2Write(ctx, path, schema.KvV2WriteRequest{Data: map[string]any{"a": "1"}, Options: options}, at("secret"))
		return err
	}
	fmt.Println("write", failed(write(map[string]any{"cas": 0})), "cas", failed(write(map[string]any{"cas": 0})), "again", failed(write(nil)))
	if r, err := kv.KvV2Read(ctx, path, at("secret")); err != nil {
		fmt.Println("read", err)
	} else {
		fmt.Println("read", r.Data.Data, r.Data.Metadata["version"])
	}
	if r, err := kv.KvV2List(ctx, own, at("secret")); err != nil {
		fmt.Println("list", err)
	} else {
		fmt.Println("list", r.Data.Keys)
	}
	if r, err := kv.KvV2ReadSubkeys(ctx, path, at("secret")); err != nil {
		fmt.Println("subkeys", err)
	} else {
		fmt.Println("subkeys", r.Data.Subkeys)
	}
	_, deleted := kv.KvV2Delete(ctx, path, at("secret"))
	_, gone := kv.KvV2Read(ctx, path, at("secret"))
	_, undeleted := kv.KvV2UndeleteVersions(ctx, path, schema.KvV2UndeleteVersionsRequest{Versions: []int32{2}}, at("secret"))
	_, destroyed := kv.KvV2DestroyVersions(ctx, path, schema.KvV2DestroyVersionsRequest{Versions: []int32{1}}, at("secret"))
	fmt.Println("delete", failed(deleted), "read", failed(gone), "undelete", failed(undeleted), "destroy", failed(destroyed))
	if r, err := kv.KvV2ReadMetadata(ctx, path, at("secret")); err != nil {
		fmt.Println("metadata", err)
	} else {
		fmt.Println("metadata", r.Data.CurrentVersion, r.Data.MaxVersions)
	}
	_, ended := kv.KvV2DeleteMetadataAndAllVersions(ctx, path, at("secret"))
	_, none := kv.KvV2Read(ctx, path, at("secret"))
	fmt.Println("end", failed(ended), "read", failed(none))
}

// others are other engines, wrapping, and tokens.
func others(client *vault.Client, own string) {
	ctx := context.Background()
	sealed, err := client.Secrets.TransitEncrypt(ctx, "mcp", schema.TransitEncryptRequest{Plaintext: "aGk="}, at("transit"))
	if err != nil {
		fmt.Println("encrypt", err)
		return
	}
	opened, err := client.Secrets.TransitDecrypt(ctx, "mcp", schema.TransitDecryptRequest{Ciphertext: fmt.Sprint(sealed.Data["ciphertext"])}, at("transit"))
	if err != nil {
		fmt.Println("decrypt", err)
		return
	}
	fmt.Println("transit", opened.Data["plaintext"])
	otp, err := client.Secrets.SshGenerateCredentials(ctx, "otp", schema.SshGenerateCredentialsRequest{Ip: "127.0.0.1"}, at("ssh"))
	fmt.Println("ssh", failed(err), err == nil && otp.LeaseID != "")
	if err == nil {
		_, err = client.System.LeasesRevokeLease(ctx, schema.LeasesRevokeLeaseRequest{LeaseId: otp.LeaseID})
		fmt.Println("revoke", failed(err))
	}
	wrapped, err := client.Secrets.TransitEncrypt(ctx, "mcp", schema.TransitEncryptRequest{Plaintext: "aGk="}, at("transit"), vault.WithResponseWrapping(time.Minute))
	fmt.Println("wrap", failed(err), err == nil && wrapped.WrapInfo != nil && wrapped.WrapInfo.TTL == 60)
	me, err := client.Auth.TokenLookUpSelf(ctx)
	fmt.Println("lookup", failed(err), err == nil && me.Data["id"] == os.Getenv("VAULT_TOKEN"))
	can, err := client.System.QueryTokenSelfCapabilities(ctx, schema.QueryTokenSelfCapabilitiesRequest{Paths: []string{"secret/data/" + own + "/x"}})
	fmt.Println("capabilities", failed(err), err == nil && fmt.Sprint(can.Data["capabilities"]) != "[deny]")
	state, err := client.System.SealStatus(ctx)
	fmt.Println("sealed", failed(err), err == nil && state.Data.Sealed)
	child, err := client.Auth.TokenCreate(ctx, schema.TokenCreateRequest{Ttl: "20m"})
	if err != nil || child.Auth == nil {
		fmt.Println("token", err)
		return
	}
	token := vault.WithToken(child.Auth.ClientToken)
	_, renewed := client.Auth.TokenRenewSelf(ctx, schema.TokenRenewSelfRequest{Increment: "60s"}, token)
	_, revoked := client.Auth.TokenRevokeSelf(ctx, token)
	_, after := client.Auth.TokenLookUpSelf(ctx, token)
	fmt.Println("token", failed(renewed), failed(revoked), failed(after))
}

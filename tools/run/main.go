// Command run is what `make run` does: it starts a dev Vault and a gateway in front
// of it, prints calls that can be pasted, and stops both on Ctrl-C. With VAULT_ADDR
// set it starts only the gateway.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"portcullis/gateway/e2e/stack"
)

const devVault = "127.0.0.1:8200"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	endWithParent()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

// run returns when ctx ends or one of the processes does; then it stops the gateway
// before Vault, so that running calls can finish.
func run(ctx context.Context) (err error) {
	root, err := stack.Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, ".cache", "run")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o750)); err != nil {
		return err
	}
	vault, gone, err := startVault(ctx, root, dir)
	if err != nil {
		return err
	}
	if vault != nil {
		defer func() { err = errors.Join(err, vault.Stop()) }()
	}
	gateway, err := stack.StartGateway(context.WithoutCancel(ctx), stack.GatewayOptions{
		Root: root, Dir: root, Env: environment(root, vault), Stderr: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gateway.Stop()) }()
	fmt.Print(welcome(gateway.URL, vault))
	select {
	case <-ctx.Done():
		fmt.Println("\nstopping")
		return nil
	case <-gateway.Done():
		return fmt.Errorf("the gateway ended, exit code %d", gateway.ExitCode())
	case <-gone:
		return fmt.Errorf("the dev Vault ended: %s", vault.Output())
	}
}

// startVault starts the dev Vault, unless VAULT_ADDR names another one: then it
// returns nil.
func startVault(ctx context.Context, root, dir string) (*stack.Vault, <-chan struct{}, error) {
	if addr := os.Getenv("VAULT_ADDR"); addr != "" {
		fmt.Println("VAULT_ADDR is set: no dev Vault is started, the gateway uses", addr)
		return nil, nil, nil
	}
	listen := devVault
	if err := free(ctx, devVault); err != nil {
		fmt.Printf("%s is taken: the dev Vault takes a free port instead\n", devVault)
		listen = "127.0.0.1:0"
	}
	v, err := stack.StartVault(context.WithoutCancel(ctx), root, dir, "--listen", listen)
	if err != nil {
		return nil, nil, err
	}
	return v, v.Done(), nil
}

func free(ctx context.Context, addr string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// environment is the development environment with the caller's own over it.
func environment(root string, v *stack.Vault) []string {
	env := append(stack.DevEnv(root, v), "PORT=8089")
	for _, e := range os.Environ() {
		if _, value, _ := strings.Cut(e, "="); value != "" {
			env = append(env, e)
		}
	}
	return env
}

// welcome are the ready line and calls that work when they are pasted.
func welcome(url string, v *stack.Vault) string {
	s := "\nready: " + url + "\n"
	if v != nil {
		s += "dev Vault: " + v.Addr + " (root token: " + v.Token + ")\n"
	}
	return s + strings.NewReplacer("CURL", `curl -sS -H "X-API-Key: dev-api-key"`, "URL", url).Replace(calls) +
		"\nCtrl-C stops everything.\n"
}

const calls = `
# write, read, list and delete a secret
CURL -X PUT URL/secrets/app -H "Content-Type: application/json" -d '{"data":{"color":"green"}}'
CURL URL/secrets/app
CURL 'URL/secrets?prefix='
CURL -X DELETE URL/secrets/app

# encrypt ("aGVsbG8=" is hello), and ask who you are
CURL -X POST URL/transit/encrypt -H "Content-Type: application/json" -d '{"key":"mcp","plaintext":"aGVsbG8="}'
CURL URL/whoami

# call a tool over MCP
CURL -X POST URL/mcp/rpc -H "Content-Type: application/json" -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.list","arguments":{}}}'
`

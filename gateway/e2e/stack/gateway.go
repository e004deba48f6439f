package stack

import (
	"context"
	"io"
	"path/filepath"
	"slices"
)

// Gateway is a running gateway.
type Gateway struct {
	*Process
	URL      string // http://127.0.0.1:PORT
	AdminURL string // of the administrators' listener, empty when there is none
	LogDir   string
	fleet    bool
}

// GatewayOptions say how to run a gateway.
type GatewayOptions struct {
	Root   string
	Dir    string   // working directory; the logs and the audit file are below it
	Env    []string // KEY=value; the last of a key counts
	Stderr io.Writer
	Fleet  bool // three replicas behind a balancer, with the REDIS_URL of Env; bin/fleet runs them
}

// DevEnv is the environment in which development and tests run the gateway: a key,
// the development policy, a free port.
func DevEnv(root string, v *Vault) []string {
	env := []string{
		"HOST=127.0.0.1", "PORT=0", "LOG_DIR=logs", "SHUTDOWN_DELAY=0s",
		`API_KEYS_JSON={"dev-api-key":"agent_api"}`,
		"POLICY_DIR=" + filepath.Join(root, "fixtures", "policy-dev"),
	}
	if v != nil {
		env = append(env, "VAULT_ADDR="+v.Addr, "VAULT_TOKEN="+v.Token)
	}
	return env
}

// StartGateway runs bin/portcullis serve and waits until it is ready. It sees no
// other environment than that of the options.
func StartGateway(ctx context.Context, o GatewayOptions) (*Gateway, error) {
	g := &Gateway{LogDir: filepath.Join(o.Dir, "logs"), fleet: o.Fleet}
	program := filepath.Join(o.Root, "bin", "portcullis")
	command := Command{Path: program, Args: []string{"serve"}, Env: o.Env, Dir: o.Dir, Stderr: o.Stderr, Ready: true}
	if o.Fleet {
		command.Path, command.Args = filepath.Join(o.Root, "bin", "fleet"), []string{program, "serve"}
		command.Env = append(slices.Clone(o.Env), "FLEET_LOGS="+g.LogDir)
	}
	var ready struct {
		Addr  string `json:"addr"`
		Admin string `json:"admin_addr"`
	}
	var err error
	g.Process, err = Start(ctx, command, &ready)
	g.URL, g.AdminURL = ready.Addr, ready.Admin
	return g, err
}

// AuditFiles are where the gateway keeps its evidence unless it is told otherwise: one of
// each replica.
func (g *Gateway) AuditFiles() []string {
	if !g.fleet {
		return []string{g.AuditFile()}
	}
	files, _ := filepath.Glob(filepath.Join(g.LogDir, "*", "audit.jsonl")) // the pattern is sound
	return files
}

// AuditFile is where a gateway of one replica keeps its evidence unless it is told otherwise.
func (g *Gateway) AuditFile() string { return filepath.Join(g.LogDir, "audit.jsonl") }

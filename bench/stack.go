package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"portcullis/gateway/e2e/stack"
)

// set is every process of a run that bench has started.
type set struct {
	root, dir string
	vault     *stack.Vault
	proxy     *stack.Process
	front     string // the proxy's address
	collector *httptest.Server
	gateways  map[string]*stack.Gateway // by variant, "" for everything on
	redis     *stack.Redis              // nil when no variant has one
	issuer    issuer
	token     string // of the caller
	own       string // the caller's token in Vault, "" until there is one
}

// subject is the caller, and prefix where its secrets are.
const (
	subject = "agent_api"
	prefix  = "mcp/" + subject
	role    = "reader" // which may read what the caller may
)

// marker is in every secret that is read.
const marker = "obviously-fake-and-just-for-the-benchmark"

// stages are what can be switched off, with the settings that do so.
var stages = map[string][]string{
	"logs":        {"LOG_LEVEL=error"},
	"decisions":   {"DECISION_LOG=off"},
	"limits":      {"RATE_LIMIT_ENABLED=false"},
	"traces":      {"OTEL_EXPORTER_OTLP_ENDPOINT="},
	"child-token": {"CHILD_TOKEN_ENABLED=false"},
	"evidence":    {"AUDIT_FILE=/dev/null"},
}

func stageNames() []string { return slices.Sorted(maps.Keys(stages)) }

// start starts Vault, the proxy and the gateways.
func start(ctx context.Context, dir string, o options) (s *set, err error) {
	if s, err = launch(ctx, dir); err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	for _, variant := range append([]string{""}, o.variants()...) {
		if err := s.gateway(ctx, variant); err != nil {
			return s, err
		}
	}
	return s, nil
}

// The gateways beside the one with everything on, as results call them.
const (
	without   = "without "
	withRedis = "with Redis"
)

func (o options) variants() (all []string) {
	for _, stage := range o.without {
		all = append(all, without+stage)
	}
	if o.redis {
		all = append(all, withRedis)
	}
	return all
}

// launch starts Vault and the proxy, and writes what gateways need.
func launch(ctx context.Context, dir string) (s *set, err error) {
	s = &set{dir: dir, gateways: map[string]*stack.Gateway{}}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.root, err = stack.Root(); err != nil {
		return s, err
	}
	if s.vault, err = stack.StartVault(ctx, s.root, dir, "--audit-file="); err != nil {
		return s, err
	}
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	var ready struct{ Addr string }
	if s.proxy, err = stack.Start(ctx, stack.Command{Path: self, Args: []string{"proxy", s.vault.Addr}, Ready: true}, &ready); err != nil {
		return s, err
	}
	s.front = ready.Addr
	s.collector = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return s, s.identity()
}

// gateway starts a gateway with everything on but one stage, or several with a plus between,
// or one whose state is in Redis.
func (s *set) gateway(ctx context.Context, variant string) (err error) {
	var env []string
	if variant == withRedis {
		if s.redis, err = stack.StartRedis(ctx, "--requirepass", "bench"); err != nil {
			return err
		}
		env = append(env, "REDIS_URL=redis://:bench@"+s.redis.Addr)
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(variant, without), "+") {
		env = append(env, stages[name]...)
	}
	s.gateways[variant], err = s.serve(ctx, "gateway-"+strings.ReplaceAll(variant, " ", "-"), env...)
	return err
}

// serve starts a gateway with everything on but what env changes: tokens signed with
// RS256, a thousand grants, limits, chained evidence, redaction, both logs, callers' own
// tokens, and one trace in a hundred. Its files are in a directory with its name.
func (s *set) serve(ctx context.Context, name string, env ...string) (*stack.Gateway, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	all := append(stack.DevEnv(s.root, s.vault),
		"API_KEYS_JSON=", "POLICY_DIR="+filepath.Join(s.dir, "policy"), "POLICY_TIMEOUT=2s", // everything shares the cores here, so a decision may have to wait for its turn
		"JWT_JWKS_FILE="+filepath.Join(s.dir, "jwks.json"), "JWT_ISSUER=https://bench.test", "JWT_AUDIENCE=bench", "JWT_ROLES_CLAIM=roles",
		"CHILD_TOKEN_ENABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT="+s.collector.URL, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01")
	return stack.StartGateway(ctx, stack.GatewayOptions{Root: s.root, Dir: dir, Env: append(all, env...)})
}

func (s *set) stop() {
	for _, g := range s.gateways {
		if g != nil && g.Process != nil { // one that has not started has none
			_ = g.Stop() // the figures are there
		}
	}
	if s.redis != nil {
		_ = s.redis.Close() // the same
	}
	if s.collector != nil {
		s.collector.Close()
	}
	if s.proxy != nil {
		_ = s.proxy.Stop() // the same
	}
	if s.vault != nil {
		_ = s.vault.Stop() // the same
	}
}

// identity writes the policy and the keys of the issuer, and signs the caller's token.
func (s *set) identity() (err error) {
	if s.issuer, err = newIssuer(); err != nil {
		return err
	}
	keys, err := s.issuer.keys()
	if err != nil {
		return err
	}
	s.token, err = s.issuer.token("RS256", subject)
	_, perr := s.policy("policy", 1000)
	return errors.Join(err, perr, os.WriteFile(filepath.Join(s.dir, "jwks.json"), keys, 0o600))
}

// policy writes a policy that grants something to so many subjects, and returns where it is.
func (s *set) policy(name string, subjects int) (dir string, err error) {
	var grants strings.Builder
	// Whoever has the role reads what is the caller's.
	grants.WriteString("grants:\n  roles:\n    " + role + ": {kv: {" + prefix + ": {ops: [kv.read]}}}\n")
	grants.WriteString("  subjects:\n    " + subject + ": {transit: {mcp: {}, signing: {}}}\n")
	for i := range subjects {
		fmt.Fprintf(&grants, "    agent-%d: {transit: {mcp: {}}, db: {readonly: {}}}\n", i)
	}
	// The bucket is full enough for every run, and is looked at like any other.
	grants.WriteString("tiers:\n  standard: {requests: 1000000000, window_s: 60, burst: 1000000000, streams: 100000, concurrent: 100000}\n")
	dir = filepath.Join(s.dir, name)
	return dir, errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(grants.String()), 0o600))
}

// seed writes the secrets of a scenario.
func (s *set) seed(ctx context.Context, secrets map[string]int) error {
	for path, size := range secrets {
		value := marker + strings.Repeat(".A-large-value-of-a-secret", max(0, size-len(marker))/26)
		status, err := s.vault.Send(ctx, http.MethodPut, "secret/data/"+prefix+"/"+path, `{"data":{"value":"`+value+`"}}`)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("write the secret %s: status %d", path, status)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// targets are what a scenario is driven at. The first one that is a proxy is the measure.
func (s *set) targets(ctx context.Context, sc *scenario, variants []string) (all []*target, err error) {
	add := func(p place, over string) {
		t, terr := newTarget(sc, p, over)
		all, err = append(all, t), errors.Join(err, terr)
	}
	if sc.direct() {
		own, oerr := s.ownToken(ctx)
		if oerr != nil {
			return nil, oerr
		}
		add(place{name: "Vault, direct", url: s.vault.Addr, credential: own, prefix: prefix}, "vault")
		add(place{name: proxyName, url: s.front, credential: own, prefix: prefix, front: s.proxy}, "vault")
	}
	bearer := "Authorization: Bearer " + s.token
	for _, over := range sc.Over {
		add(place{name: "gateway, " + names[over], url: s.gateways[""].URL, credential: bearer, prefix: prefix, front: s.gateways[""].Process}, over)
	}
	for _, variant := range variants {
		g := s.gateways[variant]
		add(place{name: "gateway, " + names[sc.Over[0]] + ", " + variant, url: g.URL, credential: bearer, prefix: prefix, front: g.Process}, sc.Over[0])
	}
	return all, err
}

const proxyName = "bare reverse proxy"

var names = map[string]string{"rest": "REST", "mcp": "MCP", "session": "MCP in sessions", "vault": "Vault API"}

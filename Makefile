# Targets for people who work on Portcullis; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := check

gofumpt       := mvdan.cc/gofumpt@v0.12.0
staticcheck   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
gotestsum     := gotest.tools/gotestsum@v1.13.0
golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
benchstat     := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
govulncheck   := golang.org/x/vuln/cmd/govulncheck@v1.9.0

tools   := $(CURDIR)/.cache/bin
version := $(shell git describe --always --dirty 2>/dev/null || echo dev)
# The same for every command, so that building, checking and testing share one cache.
export CGO_ENABLED := 0
export GOFLAGS += -buildvcs=false -trimpath
# What bench/RESULTS.md shows.
scenarios := --scenario kv-read,vault-api,half-peak,one-connection,large-secret,denied,read-heavy,agent-sessions,ci-burst,credentials,streams
files    = git ls-files --cached --others --exclude-standard -- '*.go'

.PHONY: help build run test check race fmt vet bench bench-quick bench-growth soak benchmarks abuse generated properties opa evidence dashboard handbook replicas capacity fanout conformance fuzz gen gen-clean wasm policy lint vuln image release deploy clients clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

build: ## Build bin/portcullis and bin/devvault
	@test -x bin/devvault || echo "The first build of the dev Vault compiles all of Vault: some minutes." >&2
	@go build -ldflags '-s -w -X main.version=$(version)' -o bin/portcullis ./gateway
	@tools/progress.sh "building the dev Vault" go build -C tools/devvault -ldflags '-s -w' -o ../../bin/devvault .

run: build ## Run a dev Vault and the gateway in front of it; Ctrl-C stops both
	@go build -o $(tools)/run ./tools/run
	@exec $(tools)/run

test: $(tools)/gotestsum ## Install what the tests need, build, run every test
	@tools/test.sh

check: fmt vet lint gen-clean $(tools)/gotestsum ## What a commit needs: format, vet, linters, tests, generated files
	@tools/test.sh quick && $(MAKE) -s benchmarks

gen-clean:
	@before=$$(git diff | sha256sum) && $(MAKE) -s gen && test "$$before" = "$$(git diff | sha256sum)" || \
		(echo "make gen changed files: commit them" >&2; exit 1)

fmt: $(tools)/gofumpt
	@out=$$($(files) | xargs $(tools)/gofumpt -l); test -z "$$out" || (echo "not formatted (gofumpt -w): $$out" >&2; exit 1)

vet: $(tools)/staticcheck
	@go vet ./... && go -C tools/devvault vet ./... && $(tools)/staticcheck ./...

race: ## Run the tests of the root module with the race detector
	CGO_ENABLED=1 go test -race -shuffle=on -timeout 60m ./...

bench: build ## Measure every scenario beside direct Vault and a bare proxy, into bench/RESULTS.md
	@go build -o $(tools)/bench ./bench && $(tools)/bench $(or $(BENCH),$(scenarios) --turn 1s --write bench/RESULTS.md --svg bench/results.svg --png bench/results.png)

bench-quick: build ## A quick look at kv.read: under a minute
	@go build -o $(tools)/bench ./bench && $(tools)/bench --rounds 3 --turn 500ms --scenario kv-read,denied $(BENCH)

bench-growth: build ## Measure what grows with grants, callers, streams and so on, into bench/GROWTH.md: about four minutes
	@go build -o $(tools)/bench ./bench && $(tools)/bench growth --write bench/GROWTH.md $(BENCH)

soak: build ## Keep a gateway under load while it is reloaded, rotated, and Vault restarted (SOAK="--for 30m")
	@go build -o $(tools)/bench ./bench && $(tools)/bench soak $(SOAK)

benchmarks: $(tools)/benchstat ## Run benchmarks and warn of what is slower than bench/baseline.txt
	@tools/benchmarks.sh

abuse: build ## Make honest calls beside every attack, and fail when one is noticed
	@go run ./bench/abuse $(ABUSE)

generated: ## Make calls up and hold each line of their evidence to them (CALLS=1000000)
	@GENERATED_CALLS=$(or $(CALLS),1000000) go test -count=1 -timeout 2h -run '^TestWhoCallsCannotShapeTheEvidence$$' ./gateway/audit

hostile: build ## Let callers with hostile names in, each as itself, and make requests up (COUNT=1000 REQUESTS=10000)
	@go test -count=1 -timeout 1h -v -run '^TestHostileCallers$$' ./gateway/server -hostile=$(or $(COUNT),1000)
	@go test -count=1 -timeout 1h -v -run '^TestMadeUpRequests$$|^TestOutsideTheTable$$' ./gateway/vaultapi -requests=$(or $(REQUESTS),10000)

properties: ## Hold what is said of every policy over random ones (COUNT=10000 SEED=1)
	@go test -count=1 -timeout 6h -v -run 'Show|Kept|Listed|CanBeCalled' ./gateway/policy -policies=$(or $(COUNT),10000) -seed=$(or $(SEED),1)
	@go test -count=1 -timeout 6h -v -run 'OutOfReach|AnswerRecorded' ./gateway/policy/policycmd -policies=$(or $(COUNT),10000) -seed=$(or $(SEED),1)

opa: ## Serve archives that OPA's own command has built and signed; building it takes minutes at first
	@tools/progress.sh "building OPA's command" go build -C tools/opa -ldflags '-s -w' -o $(tools)/opa github.com/open-policy-agent/opa
	@go test -count=1 -v -run '^TestArchivesOfOPAsOwnTools$$' ./gateway/policy -opa=$(tools)/opa

evidence: build ## Hold the evidence at length: rotation, full disks, receivers away, kills, 100,000 calls reconciled (FOR=75s OUTAGE=5m CALLS=100000 KILLS=50)
	@go test -count=1 -timeout 3h -v -run '^(TestRotationLosesNothing|TestNoCallIsExecutedUnrecorded|TestReceiversAreRestarted|TestKilledAtAnyMoment|TestEvidenceAgreesWithVaultsOwn)$$' ./gateway/e2e \
		-rotate-for=$(or $(FOR),75s) -rotate-every=500ms -outage=$(or $(OUTAGE),5m) -kills=$(or $(KILLS),50) -reconciled-calls=$(or $(CALLS),100000)
	@go test -run '^$$' -bench '^BenchmarkProof$$' -benchtime 200x ./gateway/audit/inspect -proved-lines=1000000

dashboard: build ## Evaluate the dashboard and the alert rules in Prometheus' own engine; building it takes minutes at first
	@tools/progress.sh "building Prometheus' engine" go build -C tools/promql -ldflags '-s -w' -o $(tools)/promql .
	@go test -count=1 -tags promql -v -run '^TestEveryPanelHasData$$' ./gateway/e2e -promql=$(tools)/promql

handbook: build ## Run the commands of every page of the handbook
	@HANDBOOK=all go test -count=1 -timeout 30m -v -run '^(TestHandbook|TestTheQuickPath|TestTheOperatorsPage)$$' ./gateway/e2e

replicas: build ## Restart three gateways under load, several times (ROUNDS=10), kill one, and fail over a Redis
	@REPLICAS_ROUNDS=$(or $(ROUNDS),10) go test -count=1 -timeout 1h -v -tags replicas -run '^TestRollingRestart$$|LookerWasKilled' ./gateway/e2e/replicas
	@go test -count=1 -tags sentinel -v -run Sentinel ./gateway/store/redis

capacity: ## Check the model of the capacity page with a million simulated callers at a hundred replicas
	@go test -count=1 -timeout 1h -v ./gateway/e2e/capacity -parts $(or $(PARTS),1)

fanout: ## Measure thousands of event streams, with and without readers that never read
	@go run ./tools/conformance/fanout $(FANOUT)

conformance: build ## Run the MCP conformance suite against the gateway (REPLICAS=3)
	@REPLICAS=$(or $(REPLICAS),1) tools/conformance/run.sh

fuzz: ## Run each fuzz target for 30 seconds (FUZZTIME=30s)
	@tools/fuzz.sh $(or $(FUZZTIME),30s)

gen: ## Write everything that is generated
	@go run ./tools/gen

wasm: ## Build the WebAssembly modules and compare their digests
	@sh wasm/build.sh check

policy: build ## Test the policies
	@bin/portcullis policy test

lint: $(tools)/golangci-lint ## Run the second line of linters
	@$(tools)/golangci-lint run -c tools/golangci.yml ./...

vuln: $(tools)/govulncheck ## Look for known vulnerabilities in what is used
	@$(tools)/govulncheck ./...

image: ## Make an OCI image below dist/ (RELEASE="--arch amd64")
	@go run -C tools/release . image $(RELEASE)

release: ## Make archives, packages, image, checksums and bills of materials below dist/
	@go run -C tools/release . release $(RELEASE)

deploy: build ## Check the chart, the unit, the compose file, the Terraform module and what release makes; install the package (root, Debian)
	@go test -C tools/release ./...
	@go test -count=1 -timeout 30m -tags debian -v -run '^TestPackage$$' ./gateway/e2e/debian

clients: build ## Drive Vault's own clients through the gateway and record them; building its CLI takes minutes
	@tools/progress.sh "building Vault's command" go build -C tools/devvault -tags minimal -ldflags '-s -w' -o ../../bin/vault ./vaultcli
	@tools/progress.sh "building consul-template" go build -C tools/clients -ldflags '-s -w' -o ../../bin/consul-template github.com/hashicorp/consul-template
	@tools/progress.sh "building sops" go build -C tools/clients -ldflags '-s -w' -o ../../bin/sops github.com/getsops/sops/v3/cmd/sops
	@go build -C tools/devvault -ldflags '-s -w' -o ../../bin/vaultclientgo ./vaultclientgo
	@tools/clients.sh
	@go test -count=1 -tags clients -timeout 30m ./gateway/e2e/clients

clean: ## Remove what was built
	rm -rf bin .cache dist

$(tools)/%:
	@echo "installing $($*)" >&2
	@GOBIN=$(tools) go install $($*)

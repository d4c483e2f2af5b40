# The targets that people and CI use. `make` alone lists them.

export CGO_ENABLED ?= 0
FUZZTIME ?= 30s
HOME_DIR ?= $(HOME)/.phantom
tool = go tool -modfile=tools/go.mod

.PHONY: help run build test lint fmt bench bench-parts fuzz crash audit-tamper audit-crash audit-long escape attack guard-score sabotage setup clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 16

run: build ## build and start Phantom in the foreground, in HOME_DIR
	bin/phantom --home "$(HOME_DIR)" start

build: ## build the one static binary, bin/phantom
	go build -trimpath -ldflags "-s -w" -o bin/phantom ./cmd/phantom

test: setup ## run every test under the race detector
	scripts/test ./...

lint: ## everything that must be empty before a commit
	scripts/lint

fmt: ## format the tree
	$(tool) gofumpt -w cmd internal

bench: ## start, memory, size, overhead of a turn, stop: one table
	scripts/bench

bench-parts: ## the benchmarks of every package
	go test -run '^$$' -bench . -benchmem ./internal/...

fuzz: ## run every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

crash: setup ## kill -9 the daemon 300 times; nothing may be lost or done twice
	go test ./cmd/phantom -run '^TestCrash$$' -v -timeout 60m -crash.kills=300

audit-tamper: ## thirteen kinds of harm at 100 rows each; all must be noticed
	go test ./internal/audit -run '^(TestTampering|TestWholeLogReplaced|TestStartRefuses)$$' -v -timeout 30m -tamper.positions=100

audit-crash: ## kill -9 a writer of the audit log 200 times
	go test ./internal/audit -run '^TestKill$$' -v -timeout 30m -audit.kills=200

audit-long: ## an honest audit log of a million rows; nothing may be found wrong
	go test ./internal/audit -run '^TestHonestLog$$' -v -timeout 60m -audit.rows=1000000

escape: setup ## the table of escapes from the sandbox
	scripts/only 'Escape' ./internal/sandbox/...

attack: setup ## a model that obeys every text it reads: attacks, and ordinary work
	scripts/only 'Attack' ./cmd/phantom

guard-score: ## the score of the command guard on its corpus
	scripts/only 'Corpus|Score|Speed' ./internal/policy/...

sabotage: setup ## switch off every control in turn; its test must fail
	go test ./internal/arch -run '^TestSabotage$$' -v -timeout 60m -sabotage

setup: ## install what the tests need and the machine lacks
	scripts/setup

clean: ## remove what was built
	rm -rf bin .cache

# The targets that people and CI use. `make` alone lists them.

export CGO_ENABLED ?= 0
FUZZTIME ?= 30s
HOME_DIR ?= $(HOME)/.phantom
tool = go tool -modfile=tools/go.mod

.PHONY: help run build test lint fmt bench fuzz crash stop-bench escape guard-score setup clean

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

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## run every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

crash: ## kill -9 at many points; nothing may be lost or repeated
	scripts/only 'Crash|Kill' ./cmd/... ./internal/app/... ./internal/agent/... ./internal/router/...

stop-bench: ## how fast a stop word ends a turn
	scripts/only 'Stop' ./cmd/... ./internal/router/... ./internal/agent/...

escape: setup ## the table of escapes from the sandbox
	scripts/only 'Escape' ./internal/sandbox/...

guard-score: ## the score of the command guard on its corpus
	scripts/only 'Corpus|Score' ./internal/policy/...

setup: ## install what the tests need and the machine lacks
	scripts/setup

clean: ## remove what was built
	rm -rf bin .cache

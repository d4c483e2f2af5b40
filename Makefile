# The targets that people and CI use. `make` alone lists them.

export CGO_ENABLED ?= 0
FUZZTIME ?= 30s
FUZZED ?= ./...
HOME_DIR ?= $(HOME)/.phantom
tool = go tool -modfile=tools/go.mod

.PHONY: help run build test lint fmt bench bench-mcp bench-parts fuzz crash torture slack-day audit-tamper audit-crash audit-long escape attack conformance guard-score recall memory-scale memory-crash evolve-score evolve-crash evolve-watch evolve-month sabotage setup clean

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

bench-mcp: ## requests a second over MCP, latencies, processor time, memory after 400,000 calls: one table
	scripts/bench mcp

bench-parts: ## the benchmarks of every package
	go test -run '^$$' -bench . -benchmem ./internal/...

fuzz: ## run the fuzz targets of the packages FUZZED for FUZZTIME each
	scripts/fuzz $(FUZZTIME) $(FUZZED)

crash: setup ## kill -9 the daemon 300 times; nothing may be lost or done twice
	go test ./cmd/phantom -run '^(TestCrash|TestTasksSurviveKills)$$' -v -timeout 60m -crash.kills=300

torture: setup ## kill -9 the daemon 200 times on each channel while its service misbehaves; every message has one answer
	go test ./cmd/phantom -run '^TestTorture$$' -v -timeout 60m -torture.kills=200

slack-day: ## play a first day in Slack and write it to docs/slack-first-day.md
	go test ./cmd/phantom -run "^TestSlackDay$$" -slack.day

audit-tamper: ## thirteen kinds of harm at 100 rows each; all must be noticed
	go test ./internal/audit -run '^(TestTampering|TestWholeLogReplaced|TestStartRefuses)$$' -v -timeout 30m -tamper.positions=100

audit-crash: ## kill -9 a writer of the audit log 200 times
	go test ./internal/audit -run '^TestKill$$' -v -timeout 30m -audit.kills=200

audit-long: ## an honest audit log of a million rows; nothing may be found wrong
	go test ./internal/audit -run '^(TestHonestLog|TestStartOfLongLog)$$' -v -timeout 60m -audit.rows=1000000

escape: setup ## the table of escapes from the sandbox
	scripts/only 'Escape' ./internal/sandbox/...

attack: setup ## a model that obeys every text it reads: attacks, and ordinary work
	scripts/only 'Attack' ./cmd/phantom

conformance: setup ## MCP: the official conformance suite and other people's clients; webhooks: the official library
	scripts/mcp-peers
	scripts/webhook-peers
	scripts/only '^(TestConformance|TestPeers|TestPeersTakeCallbacks)$$' -p 1 ./internal/mcpserver ./internal/channel/webhook ./cmd/phantom

guard-score: ## the score of the command guard on its corpus
	scripts/only 'Corpus|Score|Speed' ./internal/policy/...

recall: ## how well memories are found by words, by meaning and by both
	go test ./internal/memory -run '^TestRecallSet$$' -v

memory-scale: ## 100,000 and a million memories: add, search, load, memory, disk; takes long, wants a quiet machine
	go test ./internal/memory -run '^TestScale$$' -v -timeout 120m -memory.scale=100000,1000000 -memory.rounds=300

memory-crash: ## kill -9 what remembers and forgets 200 times
	go test ./internal/memory -run '^TestKill$$' -v -timeout 60m -memory.kills=200

evolve-score: ## what the gates say of a corpus of edits, by family, without judges
	go test -count=1 ./internal/gate/rule ./internal/gate/likeness ./internal/gate -run '^(TestScore|TestModel)$$' -v

evolve-crash: ## kill -9 what applies versions of the documents 200 times
	go test ./internal/selfconf -run '^TestKill$$' -v -timeout 30m -evolve.kills=200

evolve-watch: ## how often a bad lesson is taken back, and how often mere bad luck, over 1,000 histories each
	go test ./internal/evolve/watch -run '^TestWatchRates$$' -v

evolve-month: setup ## a month of lessons through the program, with a model and judges over the wire: one table
	go test -count=1 ./internal/evolve -run '^TestMonth$$'
	go test ./cmd/phantom -run '^TestRealMonth$$' -v -month.turns=20

sabotage: setup ## switch off every control in turn; its test must fail
	go test ./internal/arch -run '^TestSabotage$$' -v -timeout 60m -parallel "$$((2 * $$(nproc)))" -sabotage

setup: ## install what the tests need and the machine lacks
	scripts/setup

clean: ## remove what was built
	rm -rf bin .cache

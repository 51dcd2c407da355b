# make help says what there is. These targets are the only commands CI knows.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

GO ?= go
FUZZTIME ?= 20s
BENCHTIME ?= 10s
# Tests of one package have this long; those in the VM run on emulated CPUs.
TESTTIME ?= 20m
VMTIME ?= 25m

program := $(CURDIR)/bin/procfs-shim
# One build for all test packages, see test/testenv.
export PROCFS_SHIM_BIN = $(program)
# What is slow to make is kept between runs here, outside the clone.
export PROCFS_SHIM_CACHE := $(shell scripts/cache-dir)

static := CGO_ENABLED=0 $(GO) build -trimpath

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## bin/procfs-shim, static, and the same for arm64
	$(static) -o $(program) ./cmd/procfs-shim
	GOOS=linux GOARCH=arm64 $(static) -o $(program)-linux-arm64 ./cmd/procfs-shim

.PHONY: man
man: build ## man pages of all commands in bin/man
	mkdir -p bin/man && $(program) man bin/man

.PHONY: test
test: ## every test; root; installs what it needs
	@if [ "$$(id -u)" != 0 ]; then echo "make test: needs root for the end-to-end tests; 'make test-unit' doesn't" >&2; exit 1; fi
	scripts/timed test-deps $(MAKE) --no-print-directory test-deps
	scripts/timed test-unit $(MAKE) --no-print-directory test-unit
	scripts/timed test-e2e $(MAKE) --no-print-directory test-e2e
	scripts/timed test-sweep $(MAKE) --no-print-directory test-sweep
	scripts/timed test-vm $(MAKE) --no-print-directory test-vm

.PHONY: test-deps
test-deps: ## install what the tests need (Debian, Ubuntu)
	scripts/install-test-deps

.PHONY: test-unit
test-unit: ## unit tests and fuzz corpora; no root
	$(GO) vet ./...
	$(GO) test -timeout $(TESTTIME) ./...

# -p 1: these tests share the machine's mounts, cgroups and engines, and check
# that nothing is left of theirs.
.PHONY: test-e2e
test-e2e: build ## end-to-end tests on this host; root
	$(GO) test -p 1 -count 1 -timeout $(TESTTIME) -tags e2e $$(scripts/tagged-packages e2e)

.PHONY: test-vm
test-vm: build ## tests on other kinds of hosts, in qemu
	$(GO) test -p 1 -count 1 -timeout $(VMTIME) -tags vm $$(scripts/tagged-packages vm)

.PHONY: test-vm-slow
test-vm-slow: build ## end-to-end tests on a v2 host, in qemu; minutes
	$(GO) test -p 1 -count 1 -timeout 100m -tags vmslow -run TestSlowEndToEnd ./test/vm

.PHONY: test-sweep
test-sweep: build ## a fault at every call that changes the machine; root
	$(GO) test -p 1 -count 1 -timeout 60m -tags sweep -run TestSweep ./test/inject

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## what a read costs, for BENCHTIME per mode; RECORD=1 writes it down; root
	RECORD=$(RECORD) scripts/bench $(program) $(BENCHTIME)

.PHONY: comparison
comparison: build ## docs/COMPARISON.md: one container under LXCFS and ours; root
	$(GO) test -count 1 -timeout $(TESTTIME) -tags e2e -run '^TestComparison$$' ./test/comparison -v -update

.PHONY: race
race: ## unit tests, and as root FUSE tests, with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout $(TESTTIME) ./...
	@if [ "$$(id -u)" = 0 ]; then set -x; \
		CGO_ENABLED=1 $(GO) test -race -p 1 -count 1 -timeout $(TESTTIME) -tags e2e $$(scripts/tagged-packages e2e | grep -E '^\./(fusefs|cgroupread)(/|$$)'); fi

.PHONY: lint
lint: ## golangci-lint, pinned; built once, minutes
	scripts/lint

.PHONY: ci
ci: ## what CI runs, on a fresh machine
	scripts/timed build $(MAKE) --no-print-directory build
	scripts/timed lint $(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory test
	scripts/timed race $(MAKE) --no-print-directory race
	scripts/timed bench $(MAKE) --no-print-directory bench BENCHTIME=2s

.PHONY: clean
clean: ## what the targets above made in the clone
	rm -rf bin

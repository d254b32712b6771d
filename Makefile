# attorn: thin targets over Meson (the build) and tools/ (everything else). `make help` lists them.
BUILD ?= build
DEPS := $(or $(ATTORN_DEPS_DIR),$(CURDIR)/build-deps)
PYTHON := $(DEPS)/venv/bin/python
export CARGO_TARGET_DIR ?= $(DEPS)/cargo
export KEEP BREAK

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

build: ## install what a build needs and build build/attorn
	@tools/setup build
	@tools/build $(BUILD)

demo: ## the whole story on real tools, timed and asserted; KEEP=1 leaves it running, BREAK=... must fail
	@tools/setup demo
	@tools/build --only attorn $(BUILD)
	@$(PYTHON) demo/run.py --attorn $(BUILD)/attorn

test: ## every test; the last line says "N passed, N failed"
	@tools/setup test
	@$(PYTHON) tools/run-tests $(ONLY)

bench: ## the measurements of docs/benchmarks.md, on a release build
	@tools/setup bench
	@tools/build --only attorn build-release --buildtype=release
	@$(PYTHON) bench/run.py --build build-release

mutants: ## plants known bugs one by one; every one must be caught by some test
	@tools/setup test
	@$(PYTHON) tools/mutants

fuzz: ## fuzzes every target for SECONDS (default 60) each with clang's libFuzzer
	@tools/setup test
	@tools/fuzz $(or $(SECONDS),60)

check: ## layers, cycles, sizes, banned calls
	@tools/check

clean: ## removes build products, keeps build-deps
	rm -rf build build-asan build-release build-fuzz

.PHONY: help build demo test bench mutants fuzz check clean

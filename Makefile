# What one types, from a fresh clone to an installed library. `make help` lists the targets.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

target := $(abspath $(or $(CARGO_TARGET_DIR),target))
release := $(target)/release
version := $(shell sed -n '/^\[workspace.package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
major := $(firstword $(subst ., ,$(version)))

# The examples build beside what cargo builds, and use it where it lies.
examples := $(MAKE) --no-print-directory -C c-examples RELEASE=$(release) HEADERS=$(abspath ffi/include) OUT=$(target)/c-examples

.DEFAULT_GOAL := build
.PHONY: help setup build demo test check bench peers kernels fuzz fuzz-ci sanitize install header clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## install the missing Debian packages (clang-19, wasi-libc, libsqlite3-dev, ...)
	@scripts/setup

build: ## the library and the command line, optimised
	$(CARGO) build --release --locked -p wasmbridge-ffi -p wasmbridge-cli

demo: setup build ## build and run the examples
	@$(examples) run

test: setup build ## every test: Rust, the C API from C and C++, the examples, the installed library
	$(CARGO) test --workspace --locked
	@$(examples) test
	@scripts/test-install

check: ## formatting, clippy and documentation, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

bench: setup build ## instruction counts against their budgets, and the timing programs
	@scripts/bench

peers: setup ## one table of what crossings cost, here and with wasmtime and libffi (building wasmtime takes minutes)
	@scripts/peers

kernels: setup ## how fast code runs beside wasmtime and gcc -O2; with MODULE=app.wasm also how fast that is compiled (building wasmtime takes minutes)
	@scripts/kernels $(MODULE)

fuzz: ## the fuzzers, each kind of case for SECONDS (600), beginning with case FIRST (the time of day)
	cd fuzz && $(CARGO) run --locked -- run --seconds $(or $(SECONDS),600) --first $(or $(FIRST),$(shell date +%s)0000)

fuzz-ci: ## the fuzzers' first cases, for 40 seconds
	cd fuzz && $(CARGO) run --locked -- run --seconds 10

sanitize: ## the C API's test programs and the runtime's tests under valgrind and with sanitizers: takes minutes
	@scripts/sanitize

install: build ## install below PREFIX (/usr/local); DESTDIR is for packagers
	@scripts/install "$(release)" "$(version)" "$(major)" "$(PREFIX)" "$(DESTDIR)"

header: ## write ffi/include/wasmbridge.h anew from ffi's sources
	WASMBRIDGE_BLESS=1 $(CARGO) test --locked -p wasmbridge-ffi --test header

clean: ## remove what was built
	$(CARGO) clean

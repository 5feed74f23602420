# The commands that a newcomer types. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test tidy bench prove clean

CARGO := cargo
export CARGO_TERM_COLOR ?= auto
# One word in front of each stage's duration, so that a log can be searched for it.
STAGE = @stage() { local from=$$SECONDS; printf '== %s\n' "$$*" >&2; "$$@"; printf 'took %4d s: %s\n' $$((SECONDS - from)) "$$*" >&2; }; stage

help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: ## Build Outrigger and run the example shop on this machine, until Ctrl-C
	$(STAGE) $(CARGO) build --release --locked --package outrigger
	$(STAGE) examples/shop/install
	@exec target/release/outrigger up examples/shop

test: ## Everything that must hold before a change lands
	$(STAGE) $(CARGO) fmt --all --check
	$(STAGE) $(CARGO) xtask tidy
	@# The fuzzers are a workspace of their own: its lock file must follow ours.
	@$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
	$(STAGE) $(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(STAGE) $(CARGO) build --workspace --all-targets --locked
	$(STAGE) examples/shop/install
	$(STAGE) $(CARGO) test --workspace --locked

tidy: ## House rules only: fences between crates, sizes, text
	@$(CARGO) xtask tidy

bench: ## CPU and latency beside other proxies, delivery to 10,000 followers: into bench/
	$(CARGO) xtask bench proxy
	$(CARGO) xtask bench control

prove: ## Hold sidecar, drill and control plane to their bars; takes an hour or more
	$(CARGO) xtask prove spine
	$(CARGO) xtask prove drill
	$(CARGO) xtask prove control

clean: ## Remove what was built
	$(CARGO) clean

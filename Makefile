# The commands of this project; each sets up what it needs, into .venv.
# `make help` lists them.

INVENTORY ?= inventory
ARGS ?=
SCENARIO ?= default
BENCH ?= first-site many-environments pooling serving backup

# Ansible insists on UTF-8, and a bare machine may have no other such locale.
export LC_ALL = C.UTF-8
unexport PYTHONPATH PYTHONHOME

# The collections for databases are large; only an inventory that names the group needs them.
REQUIREMENTS = $(shell grep -rqsE '^[^\#]*\btrac_database\b' '$(INVENTORY)' \
  && echo requirements-database.txt || echo requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help site test lint sanity unit galaxy molecule bench clean

help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

site: ## Turn the hosts of INVENTORY into Trac sites (ARGS='--check --diff' only says what would change)
	@tools/venv $(REQUIREMENTS)
	@tools/site '$(INVENTORY)' $(ARGS)

test: ## Run everything that CI runs
	@tools/venv requirements-dev.txt
	@PATH="$(CURDIR)/.venv/bin:$$PATH" tools/test

lint sanity unit galaxy: ## Run one part of the tests
	@tools/venv requirements-dev.txt
	@PATH="$(CURDIR)/.venv/bin:$$PATH" tools/test $@

molecule: ## Run one scenario: make molecule SCENARIO=default
	@tools/venv requirements-dev.txt
	@PATH="$(CURDIR)/.venv/bin:$$PATH" tools/test molecule '$(SCENARIO)'

bench: ## Run the benchmarks; tables and plots go to docs/benchmarks (or one: make bench BENCH=first-site)
	@tools/venv requirements-bench.txt
	@set -e; for name in $(BENCH); do PATH="$(CURDIR)/.venv/bin:$$PATH" "benchmarks/$$name"; done

clean: ## Remove .venv and what the tools left behind
	rm -rf .venv .ansible .mypy_cache .pytest_cache .ruff_cache

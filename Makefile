# The ways into this checkout. Each does its own set-up; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup dev rehearse rehearse-status rehearse-teardown test lint check unit integration molecule bench tools docs pins clean
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
RUN := .venv/bin/python tests/run.py
# All that makes a rehearsal out of production's inventories. The key is nobody's: the look-alike takes no other.
REHEARSAL := env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ENDPOINT_URL=http://127.0.0.1:24566 AWS_ACCESS_KEY_ID=rehearsal \
	AWS_SECRET_ACCESS_KEY=not-a-secret-of-anybody HUBSPOKE_REPOSITORY=file://$(CURDIR)/.state/rehearsal/platform

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Virtual environment, collections, and this checkout under its collection's name
	@toolchain/setup.sh

dev: setup ## From nothing to a GitOps cluster on this machine
	ansible-playbook bootstrap.yml -i inventories/dev

rehearse: setup ## Production's two regions on this machine, without an AWS account
	$(REHEARSAL) ansible-playbook playbooks/rehearse.yml -i inventories/seoul -i inventories/tokyo $(ARGS)

rehearse-status: setup ## How a rehearsal is
	@$(REHEARSAL) ansible-playbook playbooks/status.yml -i inventories/seoul -i inventories/tokyo

rehearse-teardown: setup ## Delete what a rehearsal made
	$(REHEARSAL) ansible-playbook playbooks/rehearse_teardown.yml -i inventories/seoul -i inventories/tokyo

test: setup ## Every check and every test
	@$(RUN)

lint: setup ## Every check that needs no cluster
	@$(RUN) lint

check: setup ## One step of the tests: make check ONLY=ruff
	@$(RUN) $(or $(ONLY),--list)

unit: setup ## Unit tests
	@$(RUN) unit

integration: setup ## Tests against a real API server
	@$(RUN) integration

molecule: setup ## Whole scenarios: make molecule, or make molecule ONLY=default
	@$(RUN) $(if $(ONLY),tools $(ONLY),tools molecule)

bench: setup ## Measure: make bench, or make bench ONLY=in_process
	@.venv/bin/python tests/benchmarks/run.py $(ONLY)

tools: setup ## Fetch or build the real binaries: make tools, or make tools ONLY=kubectl,kwokctl
	ansible localhost -m hubspoke.bootstrap.toolchain $(if $(ONLY),-a tools=$(ONLY))

docs: setup ## Write each role's README.md out of its argument specification
	.venv/bin/python tests/readmes.py

pins: setup ## Renew what follows from toolchain/versions.yml: requirements.txt, go.mod, checksums
	.venv/bin/python toolchain/pins.py

clean: ## Remove what set-up and tests made in this checkout; refuses while clusters are running
	@toolchain/clean.sh

# The ways into this checkout. Each does its own set-up; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup dev rehearse rehearse-status rehearse-teardown test lint check unit integration molecule bench tools docs pins clean \
	secrets-encrypt secrets-edit secrets-rotate secrets-check secrets-hook
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
RUN := .venv/bin/python tests/run.py
# All that makes a rehearsal out of production's inventories. The key is nobody's: the look-alike takes no other.
REHEARSAL := env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ENDPOINT_URL=http://127.0.0.1:24566 AWS_ACCESS_KEY_ID=rehearsal \
	AWS_SECRET_ACCESS_KEY=not-a-secret-of-anybody HUBSPOKE_REPOSITORY=file://$(CURDIR)/.state/rehearsal/platform
# Folder of the encrypted files and their .sops.yaml, and what is asked for in words of role sops_age.
ROOT ?= $(CURDIR)
SECRETS = ansible-playbook -i localhost, playbooks/secrets.yml -e sops_age_root='$(abspath $(ROOT))'
# Words as a list of JSON.
comma := ,
list = [$(subst $(space),$(comma),$(patsubst %,"%",$(strip $(1))))]
space := $(subst ,, )

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

secrets-encrypt: setup ## Encrypt a file in its place: make secrets-encrypt FILE=..., of another folder with ROOT=...
	@$(if $(FILE),,$(error make secrets-encrypt FILE=config/dev/example.secrets.enc.yaml))
	@$(SECRETS) -e secrets_task=encrypt -e '{"sops_age_encrypt": ["$(FILE)"]}'

secrets-edit: setup ## Edit an encrypted file: make secrets-edit FILE=...
	@$(if $(FILE),,$(error make secrets-edit FILE=config/dev/example.secrets.enc.yaml))
	@# 200: it was left as it is.
	@cd '$(ROOT)' && '$(CURDIR)/toolchain/sops.sh' edit '$(FILE)' || [ $$? -eq 200 ]

secrets-rotate: setup ## New data keys: make secrets-rotate, with ADD=age1... and REMOVE=age1... other recipients, KEY=new a new key
	@$(SECRETS) -e secrets_task=rotate -e '{"sops_age_add": $(call list,$(ADD)), "sops_age_remove": $(call list,$(REMOVE))}' \
		-e '{"sops_age_rotate_key": $(if $(filter new,$(KEY)),true,false)}'

secrets-check: setup ## Every encrypted file: is it, for whom, does it open
	@$(SECRETS) -e secrets_task=check

secrets-hook: ## Let git refuse commits of plaintext in the repository of ROOT=...
	@hooks="$$(git -C '$(ROOT)' rev-parse --path-format=absolute --git-path hooks)" && mkdir -p "$$hooks" && \
	cp toolchain/no_plaintext.py "$$hooks" && \
	if grep -q no_plaintext.py "$$hooks/pre-commit" 2>/dev/null; then exit 0; fi && \
	if [ -e "$$hooks/pre-commit" ]; then \
		echo "$$hooks/pre-commit is there: add to it: python3 '$$hooks/no_plaintext.py' --staged"; exit 1; \
	fi && \
	printf '#!/bin/sh\nexec python3 "$$(dirname "$$0")/no_plaintext.py" --staged\n' > "$$hooks/pre-commit" && chmod +x "$$hooks/pre-commit"

docs: setup ## Write each role's README.md out of its argument specification
	.venv/bin/python tests/readmes.py

pins: setup ## Renew what follows from toolchain/versions.yml: requirements.txt, go.mod, checksums
	.venv/bin/python toolchain/pins.py

clean: ## Remove what set-up and tests made in this checkout; refuses while clusters are running
	@toolchain/clean.sh

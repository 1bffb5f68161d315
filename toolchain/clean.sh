#!/bin/sh
# Removes what set-up and tests made in the checkout. `make clean` calls it.
cd "$(dirname "$0")/.." || exit 1
clusters=$(find .state -type d -path '*/clusters/*' -prune 2>/dev/null | paste -sd' ' -)
if [ -n "$clusters" ]; then
  echo "clean: there are clusters still: $clusters" >&2
  echo "clean: remove them first: ansible-playbook playbooks/teardown.yml -i inventories/dev" >&2
  exit 1
fi
echo "clean: removing .venv .cache .state and the caches of ruff, mypy and pytest"
rm -rf .venv .cache .state .ruff_cache .mypy_cache .pytest_cache .ansible hubspoke-bootstrap-*.tar.gz

#!/bin/sh
# Removes what set-up and tests made in the checkout. `make clean` calls it.
cd "$(dirname "$0")/.." || exit 1
if [ -n "$(ls -A .state/clusters 2>/dev/null)" ]; then
  echo "clean: .state holds clusters ($(ls .state/clusters | tr '\n' ' ')). Remove them first:" >&2
  echo "       .venv/bin/ansible-playbook playbooks/teardown.yml -i inventories/dev" >&2
  exit 1
fi
echo "clean: removing .venv .cache .state and the caches of ruff, mypy and pytest"
rm -rf .venv .cache .state .ruff_cache .mypy_cache .pytest_cache .ansible hubspoke-bootstrap-*.tar.gz

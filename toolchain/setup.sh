#!/bin/sh
# Makes the checkout ready to work in: finds a Python that fits and hands over to setup.py. `make setup` calls it.
cd "$(dirname "$0")/.." || exit 1
# A name on PATH may be a shim without a Python behind it, so each is tried. The environment's own is the quickest.
for python in "${PYTHON:-}" .venv/bin/python python3.13 python3.12 python3.11 python3 python; do
  if [ -n "$python" ] &&
    "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    exec "$python" toolchain/setup.py "$@"
  fi
done
cat >&2 <<'END'
setup: there is no Python 3.11 or newer with venv and ensurepip on PATH. Install one (on Debian and Ubuntu:
       apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3 ...
END
exit 1

#!/bin/sh
# The pinned sops, made if it is not there yet (sops.py), in the Python of the checkout.
here=$(dirname "$0")
if [ ! -x "$here/../.venv/bin/python" ]; then
    echo "The checkout is not set up: run make setup." >&2
    exit 1
fi
exec "$here/../.venv/bin/python" "$here/sops.py" "$@"

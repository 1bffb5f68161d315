#!/bin/sh
# no_plaintext.py as a hook of pre-commit's, which runs it from anywhere.
exec python3 "$(dirname "$0")/no_plaintext.py" "$@"

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the named tools ready, with the collection's own module: `tests/tools.py kubectl kwokctl`."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the module as a user would, ad hoc."""
    arguments = json.dumps({"tools": sys.argv[1:]})
    command = ["ansible", "localhost", "-m", "hubspoke.bootstrap.toolchain", "-a", arguments]
    return subprocess.run([pathlib.Path(sys.executable).parent / command[0], *command[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

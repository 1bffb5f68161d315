# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one Molecule scenario: `tests/scenario.py default`. One that needs a Docker engine skips where none answers."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SKIPPED = 77
NEED_ENGINE = ("kind",)


def engine_answers() -> bool:
    """Whether there is a Docker engine behind DOCKER_HOST or Docker's own socket."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def environment(scenario: str) -> dict[str, str]:
    """Molecule's own files in the checkout, and the cache of tools where it is, whatever home a scenario has."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hubspoke"
    folder = ROOT / ".cache/molecule" / scenario
    return {
        "HUBSPOKE_CACHE_DIR": str(cache),
        **os.environ,
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        "MOLECULE_COMMAND_BORDERS": "false",
        "NO_COLOR": "1",
    }


def main() -> int:
    """Test a scenario from its beginning to its end."""
    (scenario,) = sys.argv[1:]
    if scenario in NEED_ENGINE and not engine_answers():
        print("skipped: no Docker engine")
        return SKIPPED
    command = [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario]
    return subprocess.run(command, cwd=ROOT, env=environment(scenario), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""git, with the same outcome whoever calls it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

AUTHOR = ("hubspoke.bootstrap", "hubspoke@localhost")

# On the command line, so that it holds whatever the user's own settings are.
_SETTINGS = (
    f"user.name={AUTHOR[0]}",
    f"user.email={AUTHOR[1]}",
    "commit.gpgSign=false",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "gc.auto=0",
)
_TIMEOUT = 60


class Git:
    """git in one folder.

    :arg path: The folder of the working tree.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def text(self, *arguments: str, check: bool = True, strip: bool = True) -> str:
        """What it prints.

        :arg check: Whether a failure is an error; if not, a failed command prints nothing.
        """
        text = self.data(*arguments, check=check).decode(errors="replace")
        return text.strip() if strip else text

    def data(self, *arguments: str, check: bool = True) -> bytes:
        """What it prints, as it is.

        :raises HubspokeError: there is no git, or it failed.
        """
        command = ["git", *(part for setting in _SETTINGS for part in ("-c", setting)), *arguments]
        try:
            done = subprocess.run(
                command, cwd=self._path, env=_environment(), capture_output=True, timeout=_TIMEOUT, check=False
            )
        except FileNotFoundError as error:
            if not self._path.is_dir():
                raise
            raise HubspokeError(
                "There is no git on PATH.", "Install git; the sample repository is made with it."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise HubspokeError(f"git {arguments[0]} in {self._path} did not end within {_TIMEOUT} s.") from error
        if done.returncode and check:
            said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
            raise HubspokeError(
                f"git {arguments[0]} in {self._path} failed: {said.rstrip('.')}.",
                "Repair the repository, or delete that folder to have it made anew.",
            )
        return b"" if done.returncode else done.stdout


def _environment() -> dict[str, str]:
    """Nothing of a surrounding repository (that of a hook which runs this), and nothing of the user's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }

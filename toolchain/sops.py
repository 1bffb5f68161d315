# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pinned sops, made if it is not there yet, for what has no task before it: the editor of `make secrets-edit`, and
the variables of an inventory, which are decrypted before the first play (ansible.cfg).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / ".venv" / "collections"))

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError  # noqa: E402
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain import Toolchain  # noqa: E402
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import (  # noqa: E402
    Cache,
    default_folder,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins  # noqa: E402


def say(line: str) -> None:
    """Tell the user; standard output is sops'."""
    print(line, file=sys.stderr)


def main() -> None:
    """Become sops."""
    toolchain = Toolchain(Pins.load(HERE), Cache(default_folder(os.environ)), say, path_lookup=True, check=False)
    try:
        sops = toolchain.resolve(["sops"]).tools["sops"]
    except HubspokeError as error:
        raise SystemExit(str(error)) from error
    os.environ["SOPS_DISABLE_VERSION_CHECK"] = "1"
    os.execv(sops, [sops, *sys.argv[1:]])  # noqa: S606 (its input and output are this one's, and the editor's terminal)


if __name__ == "__main__":
    main()

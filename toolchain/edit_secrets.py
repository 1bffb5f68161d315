# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Edit an encrypted file (`make secrets-edit FILE=...`): the pinned sops, with the editor of $EDITOR.

sops keeps the plaintext in a private temporary folder while the editor is open, and encrypts it when it is closed.
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


def main() -> None:
    """Become sops."""
    if len(sys.argv) != 2 or not sys.argv[1]:
        raise SystemExit("make secrets-edit FILE=config/dev/example.secrets.enc.yaml")
    toolchain = Toolchain(Pins.load(HERE), Cache(default_folder(os.environ)), print, path_lookup=True, check=False)
    try:
        sops = toolchain.resolve(["sops"]).tools["sops"]
    except HubspokeError as error:
        raise SystemExit(str(error)) from error
    os.environ["SOPS_DISABLE_VERSION_CHECK"] = "1"
    os.execv(sops, [sops, "edit", sys.argv[1]])  # noqa: S606 (the editor needs this terminal)


if __name__ == "__main__":
    main()

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stop a commit that would make a secret public: files named *.secrets.enc.* have to be encrypted with SOPS.

  no_plaintext.py FILE...    these files, as they are
  no_plaintext.py --staged   what is about to be committed (what `make secrets-hook` has git do)
  no_plaintext.py            every file that git knows

Needs Python alone, so that it works in any repository and on any machine. It says nothing of what is in a file.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

PATTERNS = ("*.secrets.enc.yaml", "*.secrets.enc.yml", "*.secrets.enc.json", "*.secrets.enc.env", "*.secrets.enc.ini")
_BY_SOPS = (
    re.compile(r"^sops:\s*$", re.MULTILINE),
    re.compile(r'^\s*"sops"\s*:\s*\{', re.MULTILINE),
    re.compile(r"^sops_mac=ENC\[", re.MULTILINE),
    re.compile(r"^\[sops\]\s*$", re.MULTILINE),
)
_MAC = re.compile(r"\bmac\"?\s*[:=]\s*\"?ENC\[AES256_GCM,")


def encrypted(text: str) -> bool:
    """Whether sops has written it."""
    return any(mark.search(text) for mark in _BY_SOPS) and bool(_MAC.search(text))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")


def main(arguments: list[str]) -> int:
    """Look at the files; 1 if one of them is not encrypted."""
    staged = arguments == ["--staged"]
    if staged:
        listed = _git("diff", "--cached", "--name-only", "-z", "--diff-filter=d").split("\0")
    else:
        listed = arguments or _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    wrong = []
    for path in filter(None, listed):
        if any(fnmatch.fnmatchcase(path.rpartition("/")[2], pattern) for pattern in PATTERNS):
            try:
                text = _git("show", f":{path}") if staged else Path(path).read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            if not encrypted(text):
                wrong.append(path)
    for path in wrong:
        print(f"{path} is not encrypted. Encrypt it: make secrets-encrypt FILE={path}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

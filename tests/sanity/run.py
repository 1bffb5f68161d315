# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run `ansible-test sanity` on this checkout: `tests/sanity/run.py [TEST ...]`.

ansible-test wants the collection at a path that ends in ansible_collections/<namespace>/<name>, under git, beside the
collections it uses: that is a copy in .cache. It installs each test's requirements into an environment of its own below
its home, which is in the cache of tools, so that only the first run on a machine is slow. Left out are pylint and pep8,
for which ruff and mypy do, and changelog and shellcheck, which are steps of tests/run.py.
"""

from __future__ import annotations

import ast
import fcntl
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".venv/collections"))

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import default_folder  # noqa: E402

CACHE = ROOT / ".cache/sanity"
COLLECTIONS = CACHE / "ansible_collections"
COPY = COLLECTIONS / "hubspoke/bootstrap"
HOME = default_folder(os.environ) / "ansible-test"
"""Its environments are named by what is in them, so checkouts can share them."""
LEFT_OUT = ("pylint", "pep8", "changelog", "shellcheck")

# ansible-test fetches this script from a place of its own, unless it lies in its cache.
_GET_PIP = """\
import ensurepip, os, subprocess, sys
environment = dict(os.environ)  # ensurepip turns pip's settings off
ensurepip.bootstrap(default_pip=True)
arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *arguments], env=environment).returncode)
"""


def copy_checkout() -> None:
    """Bring the copy up to date: what git knows or would add, and nothing else."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    wanted = {name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()}
    for path in [path for path in COPY.rglob("*") if path.is_file() or path.is_symlink()]:
        name = path.relative_to(COPY)
        if name.parts[0] != ".git" and name.parts[:2] != ("tests", "output") and str(name) not in wanted:
            path.unlink()
    for name in wanted:
        target = COPY / name
        if not target.exists() or not filecmp.cmp(ROOT / name, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    if not (COPY / ".git").exists():
        subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    subprocess.run(["git", "add", "--all"], cwd=COPY, check=True)


def link_collections() -> None:
    """Documentation fragments come from them."""
    for path in (ROOT / ".venv/collections/ansible_collections").iterdir():
        link = COLLECTIONS / path.name
        if path.is_dir() and path.name != "hubspoke" and not link.exists():
            link.symlink_to(path)


def environment() -> dict[str, str]:
    """A home of its own, so that the user's stays as it is; pip's downloads are shared."""
    pip = HOME / ".ansible/test/cache"
    pip.mkdir(parents=True, exist_ok=True)
    (pip / f"get_pip_{_pip_version().replace('.', '_')}.py").write_text(_GET_PIP, encoding="utf-8")
    (HOME / ".config/pip").mkdir(parents=True, exist_ok=True)
    (HOME / ".config/pip/pip.conf").write_text(_pip_settings(), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**kept, "HOME": str(HOME), "PATH": path, "PYTHONWARNINGS": "ignore"}


def _pip_settings() -> str:
    """The user's settings of pip (an index, a proxy, certificates): ansible-test passes no PIP_* variables on."""
    pip = [sys.executable, "-m", "pip"]
    listing = subprocess.run([*pip, "config", "list"], capture_output=True, check=True, text=True).stdout
    cache = subprocess.run([*pip, "cache", "dir"], capture_output=True, check=True, text=True).stdout.strip()
    settings = {"cache-dir": cache}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items()), ""])


def _pip_version() -> str:
    """The pip that ansible-test wants in its environments."""
    from ansible_test._internal.python_requirements import get_venv_packages

    python = types.SimpleNamespace(version=f"{sys.version_info.major}.{sys.version_info.minor}")
    return str(get_venv_packages(python)["pip"])


def main() -> int:
    """Copy, then test."""
    COPY.mkdir(parents=True, exist_ok=True)
    copy_checkout()
    link_collections()
    tests = [f"--test={name}" for name in sys.argv[1:]] or [f"--skip-test={name}" for name in LEFT_OUT]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [
        sys.executable,
        str(pathlib.Path(sys.executable).with_name("ansible-test")),
        "sanity",
        "--color",
        "no",
        "--python",
        python,
        *tests,
    ]
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        # Of two that make the same environment at once, one would find it half made.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run(command, cwd=COPY, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

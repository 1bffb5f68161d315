# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renew everything that follows from toolchain/versions.yml (`make pins`).

  wheels        their checksums, in versions.yml
  files         their checksums, in versions.yml
  requirements  requirements.txt
  modules       go.mod and go.sum of each group

Without arguments all of these, else those that are named. A checksum that is there already is never replaced: if what
is published under the same version has changed, this ends with an error. Needs a Python package index, a Go module
proxy, and the virtual environment of the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / ".venv" / "collections"))

from ruamel.yaml import YAML  # noqa: E402

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError  # noqa: E402
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import (  # noqa: E402
    Cache,
    default_folder,
    sha256_of,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_fetch import (  # noqa: E402
    Fetcher,
    Unavailable,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go import Go, GoFinder  # noqa: E402
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import (  # noqa: E402
    Group,
    Pins,
    words_of,
)

CHART = (".helmignore", "Chart.yaml", "values.yaml", "values.schema.json", "templates/**/*", "files/**/*", "crds/**/*")
KINDS = ("wheels", "files", "requirements", "modules")
Data = dict[str, t.Any]


class Pinner:
    """One run of the command.

    :arg workshop: A folder for what is only needed meanwhile.
    """

    def __init__(self, workshop: Path) -> None:
        self._workshop = workshop
        self._yaml = YAML()
        self._yaml.indent(mapping=2, sequence=4, offset=2)
        self._yaml.preserve_quotes = True
        self._yaml.explicit_start = True
        self._yaml.width = 4096  # never folded: a folded line ends in a blank
        self._data: Data = self._yaml.load(HERE / "versions.yml")
        self._cache = Cache(default_folder(os.environ))
        self._fetcher = Fetcher(self._cache, print)
        self._uv_binary: Path | None = None

    def save(self) -> None:
        """Write versions.yml, its comments kept."""
        new = HERE / "versions.yml.new"
        self._yaml.dump(self._data, new)
        os.replace(new, HERE / "versions.yml")

    def _pins(self) -> Pins:
        return Pins.load(HERE)

    def _go(self) -> Go:
        return GoFinder(self._pins(), self._cache, self._fetcher, True, print).go()

    # Python

    def _uv(self, *arguments: str, **options: t.Any) -> str:
        if self._uv_binary is None:
            # A version that has just been changed has no checksum here yet: its first fetch is what is pinned.
            wheel = f"uv=={self._data['wheels']['uv']['version']}"
            folder = self._workshop / "uv"
            command = [sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--only-binary=:all:", "--target"]
            subprocess.run([*command, str(folder), wheel], check=True)
            self._uv_binary = folder / "bin" / "uv"
        command = [str(self._uv_binary), "-q", "pip", "compile", "--universal", "--generate-hashes"]
        command += ["--python-version", str(self._data["python"]["minimum"])]
        done = subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True, **options)
        return str(done.stdout)

    def wheels(self) -> None:
        """Checksums of every wheel that the index has of a version."""
        wanted = {name: str(entry["version"]) for name, entry in self._data["wheels"].items()}
        source = self._workshop / "wheels.in"
        source.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()), encoding="utf-8")
        found: dict[str, list[str]] = {}
        name = ""
        for line in self._uv("--no-deps", "--no-annotate", "--no-header", str(source)).splitlines():
            if "==" in line:
                name = line.partition("==")[0]
            elif "--hash=sha256:" in line:
                found.setdefault(name, []).append(line.partition("sha256:")[2].rstrip(" \\"))
        for name, version in wanted.items():
            entry = self._data["wheels"][name]
            known = set((entry.get("sha256") or {}).get(version, []))
            if known - set(found[name]):
                raise SystemExit(
                    f"{name} {version} is published with other files than before: {known - set(found[name])}"
                )
            entry["sha256"] = {version: found[name]}
        self.save()

    def requirements(self) -> None:
        """Lock the direct requirements with everything that they need; locked versions stay where they still fit."""
        source = self._workshop / "versions.yml.in"
        source.write_text("\n".join(self._data["python"]["requirements"]) + "\n", encoding="utf-8")
        target = self._workshop / "requirements.txt"
        if (ROOT / "requirements.txt").exists():
            shutil.copyfile(ROOT / "requirements.txt", target)
        self._uv("--no-header", "-o", target.name, source.name, cwd=self._workshop)
        header = "# Made from toolchain/versions.yml by `make pins`: change it there.\n"
        text = target.read_text(encoding="utf-8").replace(f"-r {source.name}", "toolchain/versions.yml")
        (ROOT / "requirements.txt").write_text(header + text, encoding="utf-8")

    # Go

    def modules(self) -> None:
        """Write go.mod and go.sum of each group from its upstream's own."""
        go = self._go()
        for group in self._pins().groups.values():
            if group.module:
                print(f"{group.label}: go.mod and go.sum")
                self._module(go, group)

    def _module(self, go: Go, group: Group) -> None:
        folder = self._workshop / group.name
        folder.mkdir()
        # Written below, and only read elsewhere: `go get` may change what it stands in.
        environment = {**go.environment(self._workshop), "GOFLAGS": "-mod=mod"}

        def call(*arguments: str) -> Data:
            command = [str(go.binary), *arguments]
            output = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout
            return t.cast("Data", json.loads(output)) if output else {}

        source = Path(call("mod", "download", "-json", f"{group.module}@{group.version}")["Dir"])
        upstream = call("mod", "edit", "-json", str(source / "go.mod"))
        (folder / "go.mod").write_text(go_mod(group, upstream), encoding="utf-8")
        # The upstream's own sums first: the checksum service does not know every module that is published.
        shutil.copyfile(source / "go.sum", folder / "go.sum")
        call("get", "-tool", *(f"{group.import_path(tool)}@{group.version}" for tool in group.tools.values()))
        target = HERE / group.name
        target.mkdir(exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(folder / name, target / name)

    def files(self) -> None:
        """Checksums of the files that releases publish, out of their Go modules."""
        go = self._go()
        for name, sets in self._pins().files.items():
            for files in sets.values():
                source = go.module(files.module, files.version, self._workshop, name, print)
                sums = {path: sha256_of(source / path) for path in _paths(source, files.names.values())}
                changed = [path for path, known in files.sha256.items() if sums.get(path, known) != known]
                if changed:
                    raise SystemExit(f"{name} {files.version} is published with other files than before: {changed}")
                self._data["files"][name]["versions"][files.version] = sums
        self.save()


def go_mod(group: Group, upstream: Data) -> str:
    """The beginning of a group's go.mod: what of the upstream's own does not come by requiring it."""
    lines = [f"module hubspoke.bootstrap/toolchain/{group.name}", f"go {upstream['Go']}"]
    for entry in upstream.get("Replace") or []:
        old, new = entry["Old"], entry["New"]
        if new["Path"].startswith("."):
            version = group.replace.get(old["Path"]) or (group.staging or "").format(**words_of(group.version))
            new = {"Path": old["Path"], "Version": version}
        if new.get("Version"):
            lines.append(f"replace {old['Path']} {old.get('Version', '')} => {new['Path']} {new['Version']}")
    lines += [f"exclude {entry['Path']} {entry['Version']}" for entry in upstream.get("Exclude") or []]
    return "\n".join(lines) + "\n"


def _paths(source: Path, names: t.Iterable[str]) -> list[str]:
    """The files that names stand for; of a folder what can be applied, without the upstream's test data.

    A Helm chart is what Helm reads of it.
    """
    found: set[str] = set()
    for name in names:
        if (source / name).is_file():
            found.add(name)
            continue
        if (source / name / "Chart.yaml").is_file():
            parts = [path for pattern in CHART for path in (source / name).glob(pattern) if path.is_file()]
            found |= {path.relative_to(source).as_posix() for path in parts}
            continue
        below = [path.relative_to(source) for path in (source / name).rglob("*.yaml")]
        if not below:
            raise SystemExit(f"{source.name} has no {name}")
        found |= {path.as_posix() for path in below if "testdata" not in path.parts}
    return sorted(found)


def main() -> None:
    """Renew what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="|".join(KINDS), help="only these")
    wanted = parser.parse_args().what or KINDS
    if not set(wanted) <= set(KINDS):
        parser.error(f"{', '.join(sorted(set(wanted) - set(KINDS)))}: no such part; there are {', '.join(KINDS)}")
    try:
        with tempfile.TemporaryDirectory(prefix="pins.") as workshop:
            pinner = Pinner(Path(workshop))
            for kind in wanted:
                print(f"== {kind}", flush=True)
                getattr(pinner, kind)()
    except (HubspokeError, Unavailable, subprocess.CalledProcessError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

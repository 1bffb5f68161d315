# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of a Helm chart, as `helm template` makes them: no release is recorded on the cluster."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import DUMPER, LOADER, yaml

_TIMEOUT = 300


@dataclass(frozen=True)
class Chart:
    """A chart and what it is rendered with.

    :arg path: Its folder.
    :arg namespace: Namespace of the release.
    :arg version: Stands in place of the versions that the chart says of itself and of its application.
    :arg dependencies: Whether those that it names are rendered too; they then have to be in its folder.
    """

    path: str
    release: str
    namespace: str
    values: t.Mapping[str, t.Any] = field(default_factory=dict)
    version: str = ""
    dependencies: bool = True


def render(chart: Chart, helm: str) -> str:
    """What the chart's templates give, without hooks and tests.

    :arg helm: The helm that does it.
    :raises HubspokeError: it is no chart, or does not go with the values.
    """
    with tempfile.TemporaryDirectory(prefix="chart.") as folder:
        path = _prepared(chart, pathlib.Path(folder))
        command = [helm, "template", chart.release, str(path), "--namespace", chart.namespace]
        # Values may be secret: they reach no file and no list of processes.
        command += ["--values", "-", "--include-crds", "--no-hooks", "--skip-tests"]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(dict(chart.values)),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
                env=_environment(folder),
            )
        except FileNotFoundError as error:
            raise HubspokeError(
                f"{helm}, which renders the chart {chart.path}, is not there.",
                "Set the module's `helm` to one (the module toolchain returns a path).",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise HubspokeError(
                f"The chart {chart.path} was not rendered within {_TIMEOUT} s.", "Try `helm template`."
            ) from error
    if done.returncode != 0:
        words = done.stderr.strip().replace(f"{folder}{os.sep}", "")
        raise HubspokeError(f"The chart {chart.path} cannot be rendered: {words}", "Correct its values.")
    return done.stdout


def _prepared(chart: Chart, folder: pathlib.Path) -> pathlib.Path:
    """The chart's folder, or a copy where what it says of itself has to be another."""
    source = pathlib.Path(chart.path)
    try:
        described = described_as((source / "Chart.yaml").read_text(encoding="utf-8"), chart)
        if described is None:
            return source
        copy = folder / source.name
        shutil.copytree(source, copy)
        (copy / "Chart.yaml").write_text(described, encoding="utf-8")
        (copy / "Chart.lock").unlink(missing_ok=True)
    except (OSError, UnicodeDecodeError, shutil.Error, yaml.YAMLError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HubspokeError(f"{chart.path} is no Helm chart: {reason}.", "Correct the path.") from error
    return copy


def described_as(text: str, chart: Chart) -> str | None:
    """Chart.yaml as it has to be, None where it is so already.

    :raises ValueError: it is none.
    """
    described = yaml.load(text, Loader=LOADER)
    if not isinstance(described, dict):
        raise ValueError("its Chart.yaml describes nothing")
    wanted = dict(described)
    if chart.version:
        wanted |= {"version": chart.version.removeprefix("v"), "appVersion": chart.version}
    if not chart.dependencies:
        wanted.pop("dependencies", None)
    return None if wanted == described else str(yaml.dump(wanted, Dumper=DUMPER, sort_keys=False))


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the user's own repositories, plugins and clusters."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    homes = dict.fromkeys(("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"), os.path.join(folder, "helm"))
    return {**own, **homes, "HELM_NO_PLUGINS": "1", "KUBECONFIG": os.devnull}

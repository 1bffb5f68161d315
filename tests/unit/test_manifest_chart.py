# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Charts in a set of manifests: what helm is given, and what is said where it refuses."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_source
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_chart import Chart, described_as

DESCRIBED = {"name": "c", "version": "0.1.0", "appVersion": "v0.1.0", "dependencies": [{"name": "d"}]}
# Shows, as the object that it "renders", what it was given.
HELM = """#!/bin/sh
echo "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {values: '$(cat)', config: '$KUBECONFIG',"
echo "arguments: '$*', chart: '$(base64 -w0 < "$4/Chart.yaml")', own: '$HELM_NAMESPACE'}}"
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Chart.yaml").write_text(yaml.safe_dump(DESCRIBED))
    return tmp_path / "c"


def program(folder: pathlib.Path, text: str) -> str:
    path = folder.parent / "helm"
    path.write_text(text)
    path.chmod(stat.S_IRWXU)
    return str(path)


def load(chart: Chart, helm: str) -> dict[str, t.Any]:
    (made,) = _manifest_source.load([], [], [], [], charts=[chart], helm=helm)
    data: dict[str, t.Any] = made["data"]
    return data


def test_values_are_no_argument(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "the-users-own")
    found = load(Chart(str(folder), "r", "n", {"password": "hunter2"}), program(folder, HELM))
    assert found["values"] == '{"password": "hunter2"}'
    assert "hunter2" not in found["arguments"]
    assert found["arguments"].startswith(f"template r {folder} --namespace n --values - ")
    assert (found["config"], found["own"]) == (os.devnull, "")


def test_what_a_chart_says_of_itself() -> None:
    text = yaml.safe_dump(DESCRIBED)
    assert described_as(text, Chart("c", "r", "n")) is None
    other = yaml.safe_load(described_as(text, Chart("c", "r", "n", version="v0.2.0", dependencies=False)) or "")
    assert other == {"name": "c", "version": "0.2.0", "appVersion": "v0.2.0"}


def test_the_chart_itself_stays_as_it_is(folder: pathlib.Path) -> None:
    before = (folder / "Chart.yaml").read_bytes()
    found = load(Chart(str(folder), "r", "n", version="v0.2.0"), program(folder, HELM))
    assert str(folder) not in found["arguments"]
    assert (folder / "Chart.yaml").read_bytes() == before


def test_what_is_no_chart(tmp_path: pathlib.Path, folder: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HubspokeError, match="empty is no Helm chart: No such file"):
        load(Chart(str(tmp_path / "empty"), "r", "n"), program(folder, HELM))
    (folder / "Chart.yaml").write_text("- a list\n")
    with pytest.raises(HubspokeError, match="is no Helm chart: its Chart"):
        load(Chart(str(folder), "r", "n"), program(folder, HELM))


def test_where_helm_refuses_or_is_not_there(folder: pathlib.Path) -> None:
    helm = program(folder, "#!/bin/sh\necho 'Error: no' >&2\nexit 1\n")
    with pytest.raises(HubspokeError, match="cannot be rendered: Error: no Correct its values"):
        load(Chart(str(folder), "r", "n"), helm)
    with pytest.raises(HubspokeError, match="module toolchain returns a path"):
        load(Chart(str(folder), "r", "n"), "/no/helm")

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where manifests come from, and what is said of those that are no good."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_source as source
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

ONE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"
TWO = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n"


def names(objects: list[source.Object]) -> list[str]:
    return [item["metadata"]["name"] for item in objects]


def test_files_directories_and_definitions_make_one_set_in_that_order(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"---\n{ONE}---\n# nothing\n---\n{TWO}")
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / "z.yml").write_text(ONE.replace("one", "z"))
    (directory / "b.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}')
    (directory / "notes.txt").write_text("not a manifest")
    inline = {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(ONE.replace("one", "inline"))]}
    found = source.load([str(tmp_path / "a.yaml")], [str(directory)], [], [inline])
    assert names(found) == ["one", "two", "b", "z", "inline"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", r"m\.yaml, line 2, column \d+: this is not YAML"),
        ("just text", r"m\.yaml: a str where a Kubernetes object should be"),
        ("kind: Pod\nmetadata: {name: x}", r"m\.yaml: an object without apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}", r"m\.yaml: an object without kind"),
        ("apiVersion: v1\nkind: Pod", r"m\.yaml: a Pod without metadata\.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}", "generateName"),
        (f"{ONE}---\n{ONE}", r"ConfigMap one is in the set twice, the second time in .*m\.yaml"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(HubspokeError, match=message):
        source.load([str(path)], [], [], [])


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(HubspokeError, match=r"missing\.yaml cannot be read: No such file"):
        source.load([str(tmp_path / "missing.yaml")], [], [], [])
    with pytest.raises(HubspokeError, match=r"holds no \.yaml"):
        source.load([], [str(tmp_path)], [], [])
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    with pytest.raises(HubspokeError, match="Give it under kustomizations"):
        source.load([], [str(tmp_path)], [], [])
    with pytest.raises(HubspokeError, match=r"no-such-kubectl.* is not there"):
        source.load([], [], [str(tmp_path)], [], str(tmp_path / "no-such-kubectl"))


def test_text_as_it_is_written_reads_back() -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "line\nline\n"}}
    assert yaml.safe_load(source.dump(item)) == item

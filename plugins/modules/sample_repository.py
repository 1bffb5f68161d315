#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sample_repository: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sample_repository
short_description: Keep a small git repository to start from
version_added: "0.1.0"
description:
  - Makes a git repository on this machine out of a folder of files, and commits when these change.
  - Once somebody else has committed to it, or edits it, it is theirs and left alone.
  - Neither needs nor reads the settings of the user's git.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  path:
    description: Folder of the repository.
    type: path
    required: true
  state:
    description:
      - V(present) makes it or brings it up to date.
      - V(absent) deletes it, unless it holds work of others and O(force) is not set.
    type: str
    choices: [present, absent]
    default: present
  source:
    description: Folder with the files. Required with O(state=present).
    type: path
  values:
    description: In the files, each C(@name@) is replaced by its value. C(@repository@) is O(url) unless it is given here.
    type: dict
    default: {}
  url:
    description: Address under which the repository will be read. By default its folder as C(file://) address.
    type: str
  commit_message:
    description: Message of the commits.
    type: str
    default: Sample from hubspoke.bootstrap
  bundle:
    description: Return the whole repository as a git bundle.
    type: bool
    default: false
  force:
    description: With O(state=absent), delete the work of others too.
    type: bool
    default: false
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
requirements:
  - git >= 2.32
"""

EXAMPLES = r"""
- name: A repository to start from
  hubspoke.bootstrap.sample_repository:
    path: /srv/sample
    source: /srv/sample-files
    values: {image: docker.io/library/nginx:stable-alpine}
"""

RETURN = r"""
repository:
  description: The repository.
  returned: success
  type: dict
  contains:
    path:
      description: Its folder.
      type: str
    url:
      description: Its address.
      type: str
    branch:
      description: Its branch.
      type: str
    revision:
      description: Its last commit, empty in check mode where that is yet to be made.
      type: str
    kept:
      description: Whether it holds work of others and is left alone for that.
      type: bool
    bundle:
      description: With O(bundle), the git bundle in Base64; empty in check mode where there is no repository yet.
      type: str
"""

import base64
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sample_repository as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "source": {"type": "path"},
        "values": {"type": "dict", "default": {}},
        "url": {"type": "str"},
        "commit_message": {"type": "str", "default": "Sample from hubspoke.bootstrap"},
        "bundle": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
    },
    "supports_check_mode": True,
    "required_if": [("state", "present", ["source"])],
}


def run(task: Task) -> Result:
    """Read, plan, act."""
    params = task.params
    repository = engine.Repository(Path(params["path"]).absolute(), params["commit_message"])
    if params["state"] == "absent":
        return _remove(task, repository)
    url = params["url"] or repository.path.as_uri()
    wanted = engine.render(
        Path(params["source"]), {"repository": url, **{k: str(v) for k, v in params["values"].items()}}
    )
    state = repository.state()
    action = engine.plan(wanted, state)
    changed = action in (engine.CREATE, engine.UPDATE)
    result: Result = {"changed": changed}
    if changed and task.diff:
        result["diff"] = _diff(repository, wanted, state)
    revision = state.revision if state else ""
    if changed and not task.check_mode:
        revision = repository.update(wanted, state) if state else repository.create(wanted)
    elif changed:
        revision = ""
    result["repository"] = {
        "path": str(repository.path),
        "url": url,
        "branch": engine.BRANCH,
        "revision": revision,
        "kept": action == engine.KEEP,
    }
    if action == engine.KEEP and not repository.mentions(url):
        task.warn(
            f"{repository.path} holds work of yours and is left as it is, but nothing in it names {url}, where it is "
            "read now. Correct the addresses in its Applications."
        )
    if params["bundle"]:
        there = revision or (state and state.revision)
        result["repository"]["bundle"] = base64.b64encode(repository.bundle()).decode() if there else ""
    return result


def _remove(task: Task, repository: engine.Repository) -> Result:
    state = repository.state()
    described = {"path": str(repository.path), "url": "", "branch": engine.BRANCH, "revision": "", "kept": False}
    if state and (state.others or state.edited) and not task.params["force"]:
        task.warn(f"{repository.path} holds work of yours and is kept. Delete it yourself when you need it no more.")
        return {"changed": False, "repository": {**described, "revision": state.revision, "kept": True}}
    if state and not task.check_mode:
        repository.remove()
    return {"changed": state is not None, "repository": described}


def _diff(repository: engine.Repository, wanted: dict[str, bytes], state: engine.State | None) -> list[dict[str, str]]:
    before = state.blobs if state else {}
    differences = []
    for path in sorted({*before, *wanted}):
        if path in wanted and before.get(path) == engine.blob_hash(wanted[path]):
            continue
        differences.append(
            {
                "before_header": path,
                "after_header": path,
                "before": repository.content(path) if path in before else "",
                "after": wanted.get(path, b"").decode(),
            }
        )
    return differences


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()

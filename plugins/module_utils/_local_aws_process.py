# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike of AWS as a process that is to be started: its command and environment."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pathlib
import sys
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

NEEDED = ("moto", "flask", "flask_cors", "botocore")
_COLLECTIONS = ("ansible_collections.hubspoke.bootstrap", "ansible_collections.kubernetes.core")
_STOP_SECONDS = 60
"""It ends control planes, one after the other."""


def document(tools: t.Mapping[str, str], port: int, directory: str) -> dict[str, t.Any]:
    """What local_processes takes.

    :arg tools: Program to path.
    :arg directory: Folder of the control planes.
    :raises HubspokeError: a library is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise HubspokeError(
            f"The look-alike of AWS needs Python libraries that are missing: {', '.join(missing)}.",
            f"Install moto[server] into {sys.executable}.",
        )
    module = f"{__name__.rpartition('.')[0]}._local_aws_server"
    where = str(pathlib.Path(directory).expanduser().absolute())
    command = [sys.executable, "-m", module, "--port", str(port), "--directory", where]
    return {
        "name": "local-aws",
        "command": [*command, "--tools", json.dumps(dict(tools), sort_keys=True)],
        "environment": {"PYTHONPATH": python_path()},
        "health": {"http": f"http://127.0.0.1:{port}/local-aws/health"},
        "stop_seconds": _STOP_SECONDS,
    }


def python_path() -> str:
    """Where Python finds the collections that a process needs, each below one of these folders."""
    return os.pathsep.join(dict.fromkeys(map(_root, _COLLECTIONS)))


def _root(collection: str) -> str:
    """The folder that a collection's `ansible_collections` is in."""
    package = importlib.import_module(collection)
    return str(pathlib.Path(next(iter(package.__path__))).parents[2])

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process from the module's argument to what the launcher reads."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_health import Health
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_plan import Document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import base_environment

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = frozenset({"logs", "run", "supervisord"})


def document(process: t.Mapping[str, t.Any], directory: pathlib.Path) -> Document:
    """A process as it will be described to the launcher.

    :arg process: As the module's argument has it.
    :raises HubspokeError: it cannot be started like that; the message names it.
    """
    name = process["name"]
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise HubspokeError(f"{name!r} cannot be the name of a process.", "Use letters, digits, dots, dashes and _.")
    environment = {
        **base_environment(str(directory)),
        **_text(process["environment"]),
        **_text(process["secret_environment"]),
    }
    health = {key: value for key, value in (process["health"] or {}).items() if value}
    try:
        Health(**health).addresses()
    except ValueError as error:
        raise HubspokeError(f"health of process {name}: {error} is no address.", "Give host:port, or a URL.") from error
    command = [str(part) for part in process["command"]]
    if not command:
        raise HubspokeError(f"The command of process {name} is empty.", "Give the program and its arguments.")
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise HubspokeError(
            f"The program {command[0]} of process {name} is not there, or is not executable.",
            "Give its absolute path, or a name that is on the PATH of `environment`.",
        )
    files = {str(path): content for path, content in (process["files"] or {}).items()}
    for path in (*files, *process["folders"]):
        if os.path.isabs(path) or ".." in pathlib.PurePath(path).parts:
            raise HubspokeError(f"{path} of process {name} is not below its folder.", "Give a path relative to it.")
    return {
        "command": [program, *command[1:]],
        "directory": process["directory"] or str(directory / name),
        "environment": environment,
        "files": files,
        "folders": list(process["folders"]),
        "health": health,
        "loopback": process["loopback"],
        "stop_seconds": process["stop_seconds"],
    }


def _text(values: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Values as a shell would have them; true and false as programs expect them."""
    return {
        str(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (values or {}).items()
        if value is not None
    }


def documents(processes: t.Iterable[t.Mapping[str, t.Any]], directory: pathlib.Path) -> dict[str, Document]:
    """All processes of a set by name.

    :raises HubspokeError: two have the same name, or one cannot be started.
    """
    found: dict[str, Document] = {}
    for process in processes:
        if process["name"] in found:
            raise HubspokeError(f"There are two processes of the name {process['name']}.", "Rename one.")
        found[process["name"]] = document(process, directory)
    return found

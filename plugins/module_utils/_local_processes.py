# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes on this machine, kept running by a supervisord of their own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _process_table
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_health import Health, taken, wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_plan import (
    KEEP,
    RESTART,
    START,
    UP,
    Document,
    Found,
    State,
    Step,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress, no_progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor import Supervisor
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import (
    configuration,
    make_folder,
    tail,
    write,
)

_LOG_LINES = 12


class LocalProcesses:
    """The engine of the modules `local_processes` and `local_processes_info`.

    :arg directory: Where everything of theirs is.
    :arg name: What to call them in messages.
    """

    def __init__(self, directory: str, name: str, progress: Progress = no_progress) -> None:
        self.supervisor = Supervisor(directory, name)
        self.places = self.supervisor.places
        self._progress = progress

    # Reading

    def find(self, wanted: t.Mapping[str, Document] | None = None) -> Found:
        """What is there.

        :arg wanted: What is to be there, to see whether the supervisord that runs has the right configuration.
        """
        processes = _process_table.table()
        supervisor = self.supervisor.process(processes)
        living = supervisor is not None and self.supervisor.answers()
        left = self.supervisor.orphans(processes)
        if supervisor and not living:  # its socket was deleted, say
            left += [process for process in processes if process.session == supervisor.session]
        found = Found(documents=self._documents(), orphans=len(left))
        if living:
            found.states = self.states()
            found.supervised = wanted is None or self._has_header(wanted)
            _added, changed, _removed = self.supervisor.call("supervisor.reloadConfig")[0]
            sections = self._changed_sections(wanted or {})
            found.stale = frozenset({*changed, *sections} & {*found.states})
        return found

    def _documents(self) -> dict[str, Document]:
        found = {}
        for path in sorted(self.places.run.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                entry = json.loads(path.read_text())
                folder = pathlib.Path(entry["directory"])
                entry["files"] = {name: _read(folder / name) for name in entry["files"]}
                found[path.stem] = entry
        return found

    def states(self) -> dict[str, State]:
        """How supervisord sees each process."""
        return {
            info["name"]: State(info["statename"], info["pid"] or None, info["start"])
            for info in self.supervisor.call("supervisor.getAllProcessInfo")
        }

    def _configuration(self, wanted: t.Mapping[str, Document]) -> str:
        return configuration(self.places, {name: entry["stop_seconds"] for name, entry in wanted.items()})

    def _has_header(self, wanted: t.Mapping[str, Document]) -> bool:
        return _sections(self._written()).get("") == _sections(self._configuration(wanted)).get("")

    def _changed_sections(self, wanted: t.Mapping[str, Document]) -> list[str]:
        now, then = _sections(self._written()), _sections(self._configuration(wanted))
        return [name for name in then if name in now and now[name] != then[name]]

    def _written(self) -> str:
        return _read(self.places.configuration) or ""

    def last_lines(self, name: str) -> str:
        """The end of a process's log."""
        return tail(self.places.log(name), _LOG_LINES)

    def report(self, log_lines: int) -> dict[str, t.Any]:
        """How everything is, for people and for tests."""
        found = self.find()
        members = self._members(found.states)
        listeners = _process_table.listeners(members)
        processes = []
        for name in sorted({*found.states, *found.documents}):
            state = found.states.get(name, State("STOPPED"))
            health = Health(**found.documents.get(name, {}).get("health", {}))
            lack = f"it is {state.word}" if state.name not in UP else health.missing()
            processes.append(
                {
                    "name": name,
                    "pid": state.pid,
                    "state": state.word,
                    "started": state.started if state.pid else None,
                    "works": not lack,
                    "lacks": lack or "",
                    "listens": sorted({str(at) for at in listeners if members[at.pid] == name}),
                    "log": str(self.places.log(name)),
                    "last_lines": tail(self.places.log(name), log_lines).splitlines() if log_lines else [],
                }
            )
        return {"supervised": found.supervised, "orphans": found.orphans, "processes": processes}

    def _members(self, states: t.Mapping[str, State]) -> dict[int, str]:
        """The name of the process to which each pid belongs: supervisord makes each a process group."""
        groups = {state.pid: name for name, state in states.items() if state.pid}
        return {process.pid: groups[process.group] for process in _process_table.table() if process.group in groups}

    def _ending(self, name: str) -> str:
        """How a process last ended: supervisord tells only its log."""
        log = tail(self.places.log("supervisord"), 200)
        found: list[str] = re.findall(rf"exited: {re.escape(name)} \((.*?)(?:; .*)?\)$", log, re.MULTILINE)
        return found[-1] if found else "it could not be started"

    def exposed(self) -> list[tuple[str, str]]:
        """Name and address of each process that listens where other machines may reach it."""
        members = self._members(self.states())
        return [(members[at.pid], str(at)) for at in _process_table.listeners(members) if not at.loopback]

    # Changing

    def apply(self, wanted: t.Mapping[str, Document], steps: list[Step], found: Found) -> None:
        """Carry out a plan.

        Whatever changes is stopped before its description is written, so a run that is killed in between is
        finished by the next one.

        :raises HubspokeError: a port is taken, or something cannot be written or stopped.
        """
        if found.supervised:
            self._end_orphans()
            self._stop([step.name for step in steps if step.verb != KEEP and step.name in found.states])
        else:
            self.supervisor.stop()
        starting = [step.name for step in steps if step.verb in (START, RESTART)]
        for name in starting:
            self._check_ports(name, wanted[name])
        self._write(wanted, [step for step in steps if step.verb != KEEP])
        if found.supervised:
            self._reload(starting)
        else:
            self.supervisor.start()

    def remove(self, found: Found) -> None:
        """Stop everything, and leave no file of ours."""
        self.supervisor.stop()
        for name, entry in found.documents.items():
            self._remove_folder(name, entry)
        self.supervisor.remove_files()

    def wait(self, wanted: t.Mapping[str, Document], timeout: float) -> None:
        """Wait until each process works."""
        healths = {name: Health(**entry["health"]) for name, entry in wanted.items()}
        wait(
            healths,
            self.states,
            ending=self._ending,
            last_lines=self.last_lines,
            timeout=timeout,
            say=self._progress,
        )

    def _end_orphans(self) -> None:
        left = self.supervisor.orphans(_process_table.table())
        if left and _process_table.end(left):
            raise HubspokeError(f"Processes of an earlier supervisord of {self.supervisor.name} cannot be ended.")

    def _stop(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(HubspokeError):  # it is not running
                self.supervisor.call("supervisor.stopProcess", name, False)
        deadline = time.monotonic() + 60
        while any(self.states()[name].name in (*UP, "STOPPING", "BACKOFF") for name in names):
            if time.monotonic() > deadline:
                raise HubspokeError(f"supervisord of {self.supervisor.name} does not stop {', '.join(names)}.")
            time.sleep(0.03)

    def _check_ports(self, name: str, entry: Document) -> None:
        """A stranger on a port would pass for the process itself."""
        for host, port in Health(**entry["health"]).addresses():
            if taken(host, port):
                owners = sorted({at.pid for at in _process_table.listeners() if at.port == port})
                by = f" by process {owners[0]}" if owners else ""
                raise HubspokeError(
                    f"{host}:{port}, the address of process {name} of {self.supervisor.name}, is in use{by}.",
                    "End what uses it, or choose another port.",
                )

    def _write(self, wanted: t.Mapping[str, Document], steps: list[Step]) -> None:
        try:
            for folder in (self.places.directory, self.places.logs, self.places.run):
                make_folder(folder)
            self.supervisor.write_launcher()
            for step in steps:
                self._write_one(step, wanted.get(step.name))
        except OSError as error:
            raise HubspokeError(
                f"{error.filename}: {error.strerror}.", "Make space, or choose another folder."
            ) from error
        write(self.places.configuration, self._configuration(wanted))

    def _write_one(self, step: Step, entry: Document | None) -> None:
        description = self.places.description(step.name)
        if entry is None:
            self._remove_folder(step.name, step.before or {})
            description.unlink(missing_ok=True)
            self.places.log(step.name).unlink(missing_ok=True)
            return
        folder = pathlib.Path(entry["directory"])
        make_folder(folder)
        for name in (step.before or {}).get("files", {}):
            if name not in entry["files"]:
                (folder / name).unlink(missing_ok=True)
        for name in entry["folders"]:
            make_folder(folder / name)
        for name, content in entry["files"].items():
            make_folder((folder / name).parent)
            write(folder / name, content)
        write(description, json.dumps({**entry, "files": sorted(entry["files"])}))

    def _remove_folder(self, name: str, entry: Document) -> None:
        if entry.get("directory") == str(self.places.directory / name):
            shutil.rmtree(self.places.directory / name, ignore_errors=True)

    def _reload(self, starting: list[str]) -> None:
        added, changed, removed = self.supervisor.call("supervisor.reloadConfig")[0]
        for name in (*removed, *changed):
            self._stop([name])
            self.supervisor.call("supervisor.removeProcessGroup", name)
        for name in (*added, *changed):
            self.supervisor.call("supervisor.addProcessGroup", name)
        for name in starting:
            if name not in (*added, *changed):
                self.supervisor.call("supervisor.startProcess", name, False)

    @contextlib.contextmanager
    def locked(self, timeout: float) -> t.Iterator[None]:
        """One run at a time."""
        try:
            make_folder(self.places.directory)
            descriptor = os.open(self.places.lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HubspokeError(
                f"The folder {self.places.directory} of the processes of {self.supervisor.name} cannot be used: "
                f"{error.strerror}.",
                "Choose another, or give yourself the right to write there.",
            ) from error
        try:
            deadline, said = time.monotonic() + timeout, False
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if not said:
                    self._progress(f"another run is at work on the processes of {self.supervisor.name}")
                    said = True
                if time.monotonic() > deadline:
                    raise HubspokeError(f"Another run holds {self.places.lock}.", "Wait for its end.")
                time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def _sections(text: str) -> dict[str, str]:
    """supervisord's configuration by program, what comes before the first under the empty name."""
    header, *programs = text.split("[program:")
    return {"": header, **{name: rest for name, _bracket, rest in (program.partition("]") for program in programs)}}


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

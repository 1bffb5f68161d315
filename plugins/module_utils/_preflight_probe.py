# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's only way to this machine and to the network; it reads, and what it writes is gone at once."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.metadata
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity, _kube, _process_table
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_identity import Key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Docker
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import Folder as StateFolder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import check_export
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import no_progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import Survey as EncryptedFiles
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor import Supervisor
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain import Toolchain
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, default_folder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_fetch import Fetcher
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go import GoFinder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins

# Reading a kubeconfig passes certificates through files that all threads share.
_kubeconfigs = threading.Lock()

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Answer:
    """What a program said.

    :arg code: Its exit code; None where it did not end in time or could not be started.
    """

    code: int | None
    output: str = ""
    error: str = ""


@dataclass(frozen=True)
class Engine:
    """What the Docker engine said.

    :arg version: "" where none answers.
    :arg problem: Why none does.
    :arg is_local: Whether its containers' ports are ports of this machine.
    """

    version: str
    problem: str = ""
    is_local: bool = True


@dataclass(frozen=True)
class Folder:
    """A folder that is there, or that will be made.

    :arg existing: The nearest folder above it, or it itself, that is there.
    :arg problem: Why nothing can be written there, "" where it can.
    :arg full: Whether the problem is lack of space.
    :arg free: Bytes that this user may still write.
    :arg device: The file system, to count two folders on one only once.
    """

    existing: str
    problem: str = ""
    full: bool = False
    free: int = 0
    device: int = 0


@dataclass(frozen=True)
class Api:
    """What an API server says of itself and of our account."""

    version: str
    admin: bool


class Probe:
    """The real one; tests of the checks give another with the same methods.

    :arg timeout: Seconds that anything on the network may take.
    """

    def __init__(self, timeout: float = 5) -> None:
        self.timeout = timeout
        self.aws = Aws(timeout)
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    # This machine

    def which(self, program: str) -> str:
        """Path of a program on PATH, "" where there is none."""
        return shutil.which(program) or ""

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Answer:
        """Run a program to its end, or to the end of our patience."""
        try:
            done = subprocess.run(
                list(command),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=self.timeout,
                env={**os.environ, **(environment or {})},
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return Answer(None, error=f"no answer within {self.timeout:g} s")
        except OSError as error:
            return Answer(None, error=error.strerror or str(error))
        return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def library(self, module: str, distribution: str) -> str:
        """Version of a Python library that can be imported.

        :raises HubspokeError: it cannot.
        """
        try:
            importlib.import_module(module)
            return importlib.metadata.version(distribution)
        except ImportError as error:
            raise HubspokeError(" ".join(str(error).split())) from error

    def collection_problem(self) -> str:
        """Why the collection that knows the ways to a cluster cannot be used, "" where it can."""
        text = str(_kube.IMPORT_ERROR or "")
        return text if "ansible_collections" in text else ""

    def port_taken(self, port: int, address: str = "127.0.0.1", protocol: str = "tcp") -> bool:
        """Whether something listens on a port of this machine."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as listener:
            # Connections that are only lingering do not count; one that listens does, whatever this option says.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address, port))
            except OSError as error:
                # Other errors say that this user may not listen there, which the engine's may.
                return error.errno == errno.EADDRINUSE
        return False

    def port_holder(self, port: int) -> str:
        """Who listens on a port, "" where the system does not tell this user."""
        pids = {listener.pid for listener in _process_table.listeners() if listener.port == port}
        holders = [process for process in _process_table.table() if process.pid in pids]
        return ", ".join(f"{os.path.basename(process.argv[0])}, process {process.pid}" for process in holders)

    def holds(self, port: int, folder: str, name: str) -> bool:
        """Whether it is a process of that folder's supervisord that listens on a port."""
        processes = _process_table.table()
        supervisor = Supervisor(folder, name)
        living = supervisor.process(processes)
        ours = {process.pid for process in supervisor.orphans(processes)}
        ours |= {process.pid for process in processes if living and process.session == living.session}
        return any(listener.port == port for listener in _process_table.listeners(ours))

    def folder(self, path: str) -> Folder:
        """Whether a folder can be made and written to, tried by a file that has no name."""
        existing = path
        while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
            existing = os.path.dirname(existing)
        try:
            free = shutil.disk_usage(existing).free
            device = os.stat(existing).st_dev
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(b"\0" * 4096)
                file.flush()
        except NotADirectoryError:
            return Folder(existing, f"{existing} is not a folder")
        except OSError as error:
            # What cannot be written to is said as the user would see it.
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return Folder(existing, f"{existing}: {error.strerror}", full)
        return Folder(existing, free=free, device=device)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at that path."""
        return os.path.isdir(path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file at that path."""
        return os.path.isfile(path)

    def read(self, path: str) -> bytes:
        """Content of a file.

        :raises OSError: it cannot be read.
        """
        with open(path, "rb") as file:
            return file.read()

    def encrypted_files(self, root: str, patterns: Sequence[str]) -> EncryptedFiles:
        """The files below a folder that have to be encrypted, and the rules for them.

        :raises HubspokeError: the rules cannot be understood.
        """
        return EncryptedFiles.of(Path(root), patterns)

    def age_key(self, path: str) -> Key | None:
        """The private key, where it is named or else as sops finds it; None where there is none.

        :raises HubspokeError: it is no key, or others can read it.
        """
        return _age_identity.load(path, os.environ, self.which("age-keygen") or "age-keygen")

    # The network

    @property
    def aws_endpoint(self) -> str:
        """What answers for AWS, "" where it is AWS itself."""
        return os.environ.get("AWS_ENDPOINT_URL", "")

    def record(self, state_dir: str, cluster: str) -> t.Any:
        """What a state folder knows of a cluster, None where it knows nothing.

        :raises HubspokeError: it cannot be understood.
        """
        return StateFolder(state_dir, cluster).read()

    def check_export(self, path: str, context: str) -> None:
        """Whether a kubeconfig may be exported to that path.

        :raises HubspokeError: something else is there, or nothing can be written there.
        """
        check_export(path, context)
        folder = self.folder(os.path.dirname(path))
        if folder.problem:
            raise HubspokeError(
                f"{path} cannot be written to ({folder.problem}).", "Set it to a path that you can write to."
            )

    def engine(self, tools: Mapping[str, str]) -> Engine:
        """The Docker engine's answer, asked for once.

        :arg tools: Paths of programs that are not to be looked for on PATH.
        """
        with self._lock:
            if self._engine is None:
                docker = Docker(Tools(tools))
                version, problem = docker.version()
                self._engine = Engine(version, problem, docker.is_local)
            return self._engine

    def origins(self, pins: Pins, names: Sequence[str]) -> dict[str, str]:
        """Where module toolchain would take these tools from: PATH, cache, release, built or wheel."""
        found = Toolchain(pins, self._cache(), no_progress, check=True).resolve(list(names))
        return {name: found.origins[name] for name in names}

    def go(self, pins: Pins) -> str:
        """The Go that would build what has to be built, "" where one would first have to be fetched."""
        cache = self._cache()
        found = GoFinder(pins, cache, Fetcher(cache, no_progress), True, no_progress).at_hand()
        return str(found.binary) if found else ""

    @property
    def cache_folder(self) -> str:
        """Where tools are kept."""
        return str(self._cache().root)

    @staticmethod
    def _cache() -> Cache:
        return Cache(default_folder(os.environ))

    def api(self, kubeconfig: str, context: str) -> Api:
        """Ask an API server who we are to it.

        :raises HubspokeError: it cannot be addressed, does not answer, or does not know us.
        """
        with _kubeconfigs:
            kube = _Impatient.from_params({"kubeconfig": kubeconfig or None, "context": context or None}, 1)
        body = {"spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}}
        review = kube.request("POST", _REVIEW, body, timeout=self.timeout)
        try:
            version = str(kube.request("GET", "/version", timeout=self.timeout).get("gitVersion", ""))
        except ApiError:
            version = ""
        return Api(version, bool(review.get("status", {}).get("allowed")))

    @contextlib.contextmanager
    def private_file(self, content: str) -> Iterator[str | None]:
        """A path where programs that we start can read a secret that is on no disk; None where there is no way."""
        if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
            yield None
            return
        descriptor = os.memfd_create("preflight", getattr(os, "MFD_CLOEXEC", 0))
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, content.encode())
            yield f"/proc/{os.getpid()}/fd/{descriptor}"
        finally:
            os.close(descriptor)


class _Impatient(Kube):
    """A client that asks once: whether it answers at all is the question."""

    def __init__(self, configuration: t.Any, headers: dict[str, t.Any] | None = None, connections: int = 16) -> None:
        super().__init__(configuration, headers, connections)
        self._pool.connection_pool_kw["retries"] = False

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time registers clusters on a hub: a Lease of the Kubernetes API says who.

Taken before the first change and not before, so that checks and runs with nothing to do never wait.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
import typing as t
from datetime import UTC, datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

Object = dict[str, t.Any]

NAME = "hubspoke-registration"
_SECONDS = 30  # a run that was killed holds it for so long
_PATIENCE = 90.0


class Lease:
    """The Lease of one hub.

    :arg namespace: Of Argo CD.
    """

    def __init__(self, hub: Kube, namespace: str, progress: Progress, patience: float = _PATIENCE) -> None:
        self._hub, self._namespace, self._progress, self._patience = hub, namespace, progress, patience
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._holder = f"{_user()}@{socket.gethostname()}, process {os.getpid()}"
        self._lock = threading.Lock()
        self._held: Object | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = ""

    def take(self) -> None:
        """Have it; safe to call from several threads and again and again.

        :raises HubspokeError: another run has it, or took it while this one stood still.
        """
        with self._lock:
            if self._lost:
                raise HubspokeError(self._lost, "Run again.")
            if self._held is None:
                self._held = self._acquire()
                self._thread = threading.Thread(target=self._renew, daemon=True)
                self._thread.start()

    def release(self) -> None:
        """Let others have it."""
        self._end.set()
        if self._thread:
            self._thread.join()
        if self._held and not self._lost:
            with contextlib.suppress(ApiError):  # it ends by itself
                version = self._held["metadata"]["resourceVersion"]
                options = {"preconditions": {"resourceVersion": version}}
                self._hub.request("DELETE", f"{self._collection}/{NAME}", options)
        self._held = None

    def _acquire(self) -> Object:
        deadline, said = time.monotonic() + self._patience, ""
        while True:
            live = self._hub.get_path(f"{self._collection}/{NAME}")
            holder = _holder(live)
            if not holder:
                try:
                    return self._put(live)
                except ApiError as error:
                    if error.status != 409:
                        raise
                    continue
            if time.monotonic() > deadline:
                raise HubspokeError(
                    f"Another run is registering clusters on this hub: {holder}.",
                    f"Wait for its end; if it was killed, {_SECONDS} s are enough.",
                )
            if holder != said:
                self._progress(f"waiting for another run that registers clusters on this hub: {holder}")
                said = holder
            time.sleep(0.5)

    def _put(self, live: Object | None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": _SECONDS,
            "renewTime": now,
            "acquireTime": now if live is None or live is not self._held else live["spec"].get("acquireTime", now),
        }
        metadata = {"name": NAME, "namespace": self._namespace}
        if live:
            metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        if live:
            return self._hub.request("PUT", f"{self._collection}/{NAME}", body)
        return self._hub.request("POST", self._collection, body)

    def _renew(self) -> None:
        while not self._end.wait(_SECONDS / 3):
            try:
                self._held = self._put(self._held)
            except ApiError as error:
                if error.status == 409:
                    self._lost = "Another run took over the registration of clusters while this one stood still."
                    return
                # anything else passes, or the next write fails with it


def _holder(live: Object | None) -> str:
    """Who has it, empty where nobody has any more."""
    spec = (live or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return ""
    renewed = datetime.fromisoformat(spec["renewTime"])
    age = (datetime.now(UTC) - renewed).total_seconds()
    since = str(spec.get("acquireTime") or "")[:19].replace("T", " ")
    return "" if age > spec.get("leaseDurationSeconds", _SECONDS) else f"{spec['holderIdentity']}, since {since} UTC"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())

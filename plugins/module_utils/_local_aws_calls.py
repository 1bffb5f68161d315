# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which operation a request is, and how many of each there were."""

from __future__ import annotations

import re
import threading
import typing as t
from collections.abc import Mapping
from functools import cache

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_libraries import botocore
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_model import model

_READS = re.compile(
    r"(Batch)?(Get|List|Describe|Head|Lookup|Search|Simulate|Validate|Generate|Query|Scan|Assume|Decode|Estimate)"
)
# Services whose name in a signature is not botocore's.
_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "events": "events", "email": "ses"}


@cache
def _model(service: str) -> t.Any:
    """botocore's model, None where it has none of that name."""
    try:
        return botocore.session.get_session().get_service_model(_NAMES.get(service, service))
    except Exception:  # botocore's own family, which is no base of anything here
        return None


def protocol_of(service: str) -> str:
    """A service's protocol, as botocore names it."""
    found = _model(service)
    return str(found.metadata.get("protocol", "json")) if found else "json"


def operation_of(service: str, method: str, path: str, environ: Mapping[str, t.Any], form: Mapping[str, str]) -> str:
    """The name of the operation that is asked for, method and path where nothing names it."""
    if "Action" in form:
        return form["Action"]
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rsplit(".", 1)[-1]
    if protocol_of(service).startswith("rest"):
        asked = model(_NAMES.get(service, service)).route(method, path)
        if asked:
            return asked.operation
    return f"{method} {path}"


def writes(operation: str) -> bool:
    """Whether an operation changes something in AWS. Who assumes a role does not."""
    return not (_READS.match(operation) or operation.startswith(("GET ", "HEAD ")))


class Calls:
    """How many calls there were since it was last asked to forget."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, t.Any]] = {}

    def count(self, service: str, operation: str, agent: str, slow: bool) -> None:
        """Count one.

        :arg agent: The program that asks, as it calls itself.
        :arg slow: Whether it is throttled.
        """
        with self._lock:
            name = f"{service}.{operation}"
            entry = self._counts.setdefault(
                name, {"count": 0, "write": writes(operation), "throttled": 0, "agents": {}}
            )
            entry["count"] += 1
            entry["throttled"] += slow
            product = agent.partition("/")[0] or "unknown"
            entry["agents"][product] = entry["agents"].get(product, 0) + 1

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._counts.clear()

    def shown(self) -> dict[str, t.Any]:
        """All counts."""
        with self._lock:
            return {
                "total": sum(entry["count"] for entry in self._counts.values()),
                "writes": sum(entry["count"] for entry in self._counts.values() if entry["write"]),
                "throttled": sum(entry["throttled"] for entry in self._counts.values()),
                "operations": {name: dict(entry) for name, entry in sorted(self._counts.items())},
            }

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of what External Secrets is to have: whether it fits together, and the role that it reads with on EKS."""

from __future__ import annotations

import fnmatch
import typing as t
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_definitions as definitions
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey

NAME = "external secrets"
STORES, EXTERNAL, PUSH = (f"external_secrets_{kind}" for kind in ("stores", "external_secrets", "push_secrets"))
_POLICY = "external-secrets"
_ROLES, _READABLE = "eks_cluster_pod_identities", "eks_cluster_secrets"


def external_secrets(survey: Survey) -> Iterator[Finding]:
    """What each host declares."""
    for host in survey.hosts:
        stores, external = host.get(STORES) or [], host.get(EXTERNAL) or []
        if host.get("external_secrets_enabled") is False or not (stores or external or host.get(PUSH)):
            continue
        region = host.text("external_secrets_region") or host.text("cluster_region")
        problems = definitions.problems(stores, external, host.get(PUSH) or [], region)
        for problem in problems:
            yield _finding(host, "fail", problem.rstrip("."), STORES, "Correct it; the role's README has every option.")
        if not problems and host.provider == "eks" and not host.adopted:
            yield from _role(host, stores, external)


def _role(host: Host, stores: list[dict[str, t.Any]], external: list[dict[str, t.Any]]) -> Iterator[Finding]:
    """Stores without credentials of their own read with those of the controller's service account."""
    plain = [entry["name"] for entry in stores if not entry.get("provider") and not _own_credentials(entry)]
    if not plain:
        return
    account = (host.text("external_secrets_namespace"), host.text("external_secrets_service_account"))
    entries = host.get(_ROLES) or []
    roles = [entry for entry in entries if (entry.get("namespace"), entry.get("service_account")) == account]
    if not roles:
        found = f"the service account {'/'.join(account)} has no role here, with which {', '.join(plain)} would read"
        remedy = f"Add it with policies: [{_POLICY}], unless something else gives it one."
        yield _finding(host, "warn", found, _ROLES, remedy)
        return
    patterns = host.get(_READABLE) or ["*"]
    if any(roles[0].get(key) for key in ("role_arn", "managed_policies", "statements")):
        return
    for entry in external:
        for name in _read(entry) if entry.get("store") in plain else ():
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                what = f"ExternalSecret {entry['namespace']}/{entry['name']} reads {name}"
                found = f"{what}, which the role of {'/'.join(account)} may not read ({', '.join(patterns)})"
                yield _finding(host, "fail", found, _READABLE, "Add it there, or correct the name.")


def _own_credentials(entry: dict[str, t.Any]) -> bool:
    return bool(entry.get("role")) or entry.get("auth") in (definitions.SERVICE_ACCOUNT, definitions.STATIC)


def _read(entry: dict[str, t.Any]) -> Iterator[str]:
    """Names of the secrets that it reads."""
    yield from entry.get("extract") or []
    for remote in (entry.get("data") or {}).values():
        yield str(remote.get("key") or "") if isinstance(remote, dict) else str(remote)


def _finding(host: Host, verdict: t.Any, found: str, variable: str, remedy: str) -> Finding:
    return Finding(NAME, found, verdict, variable, remedy, (host.name,))

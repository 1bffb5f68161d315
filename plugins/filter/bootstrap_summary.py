# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bootstrap has brought about, and how to go on."""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.status import OF_A_REHEARSAL, Found
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.text import columns, plural

DOCUMENTATION = r"""
name: bootstrap_summary
short_description: Say what a bootstrap made and how to go on
version_added: "0.1.0"
description:
  - Text for people about what exists, how to reach it, what of it is real and what is simulated, and what to do next. It
    never holds a password, only the command that shows it.
options:
  _input:
    description: What P(hubspoke.bootstrap.status_report#filter) takes.
    type: list
    elements: dict
    required: true
  inventory:
    description: The inventories of the run, for the commands.
    type: list
    elements: str
    default: []
  sample:
    description: What M(hubspoke.bootstrap.sample_repository) returns as C(repository), where the run has made one.
    type: dict
  kubectl:
    description: The kubectl to name where PATH has none that fits.
    type: str
    default: kubectl
  check_mode:
    description: Whether the run changed nothing.
    type: bool
    default: false
  rehearsal:
    description:
      - Whether it was a rehearsal, in which a look-alike answers for AWS. Then the commands are those of the checkout that set the
        environment which all of them need.
    type: bool
    default: false
author:
  - hubspoke.bootstrap contributors
"""

EXAMPLES = r"""
- name: Say it
  ansible.builtin.debug:
    msg: "{{ [{'host': 'dev', 'cluster': dev}] | hubspoke.bootstrap.bootstrap_summary(inventory=ansible_inventory_sources) }}"
"""

RETURN = r"""
_value:
  description: Several lines.
  type: str
"""

_REAL = {
    True: (
        "The Kubernetes API with admission, RBAC, its controllers and scheduler; Argo CD and what it does with Git.",
        "Nodes and containers: pods become Ready without running, so there are no logs, no exec and no traffic.",
    ),
    False: ("Everything: nodes are containers of the Docker engine, and pods run in them.", ""),
}


def bootstrap_summary(
    hosts: t.Iterable[t.Mapping[str, t.Any]],
    *,
    inventory: t.Sequence[str] = (),
    sample: t.Mapping[str, t.Any] | None = None,
    kubectl: str = "kubectl",
    check_mode: bool = False,
    rehearsal: bool = False,
) -> str:
    """The whole summary."""
    found = [Found.of(host) for host in hosts]
    options = "".join(f" -i {shlex.quote(_relative(source))}" for source in inventory)
    lines = [_headline(found, check_mode)]
    for host in found:
        if host.running:
            lines += ["", *_host(host, kubectl, len(found) > 1)]
    simulated = {bool(host.cluster.get("simulated")) for host in found if host.running and _is_development(host)}
    for kind in sorted(simulated, reverse=True):
        real, unreal = _REAL[kind]
        lines += ["", *columns(("", ""), [("real", real), *([("simulated", unreal)] if unreal else [])])[1:]]
    return "\n".join([*lines, "", *_next(options, sample or {}, check_mode, rehearsal)])


def _headline(found: list[Found], check_mode: bool) -> str:
    running = [host for host in found if host.running]
    if check_mode:
        return (
            "This was a check: nothing was changed. What exists now:"
            if running
            else "This was a check: nothing was changed."
        )
    if not running:
        return "No cluster is running."
    applications = [entry for host in found for entry in host.applications]
    ready = [entry for entry in applications if entry.get("state") == "ready"]
    count = plural(len(applications), "Application")
    how = "Synced and Healthy" if len(ready) == len(applications) else f"{len(ready)} of them Synced and Healthy"
    told = f"; {count}, {how}" if applications else ""
    return f"{plural(len(running), 'cluster')} running{told}."


def _host(host: Found, kubectl: str, several: bool) -> list[str]:
    cluster = host.cluster
    nodes = f", {host.nodes}" if host.nodes else ""
    made_of = f"{cluster.get('provider', '')}, Kubernetes {cluster.get('version', '')}{nodes}"
    rows = [
        ("cluster", f"{host.name}: {made_of}"),
        ("API", cluster.get("address", "")),
        ("kubeconfig", f"export KUBECONFIG={shlex.quote(str(cluster.get('kubeconfig', '')))}"),
    ]
    if kubectl != "kubectl" and (host.has_argocd or not several):
        rows.append(("kubectl", kubectl))
    if host.capability:
        version, status = (host.capability.get(name) or "" for name in ("version", "status"))
        rows.append(("Argo CD", f"{version}, run by AWS ({status}), {host.url or 'without an address yet'}"))
        rows += [("", OF_A_REHEARSAL)] if cluster.get("simulated") else []
    elif host.has_argocd:
        rows.append(("Argo CD", f"{host.argocd.get('version', '')}, {_address(host)}"))
        if _has_server(host):
            rows.append(("", f"user admin, password: {_password(host.namespace)}"))
    rows += [
        ("External Secrets" if number == 0 else "", f"{entry['kind']} {_name(entry)}: {entry['reason'] or 'not ready'}")
        for number, entry in enumerate(host.secrets)
    ]
    rows += [
        ("Applications" if number == 0 else "", "  " * depth + f"{entry['name']}: {_state(entry)}")
        for number, (depth, entry) in enumerate(host.tree())
    ]
    return columns(("", ""), rows)[1:]


def _name(entry: t.Mapping[str, t.Any]) -> str:
    return "/".join(filter(None, (entry["namespace"], entry["name"])))


def _state(entry: t.Mapping[str, t.Any]) -> str:
    if "sync" not in entry:
        return str(entry.get("message", ""))
    return f"{entry['sync']}, {entry['health']}"


def _address(host: Found) -> str:
    if not _has_server(host):
        return "without a server of its own"
    if host.cluster.get("simulated"):
        return host.url or "its server does not run"
    return f"https://localhost:8080 after: kubectl -n {host.namespace} port-forward service/argocd-server 8080:443"


def _has_server(host: Found) -> bool:
    return any(workload.get("name") == "argocd-server" for workload in host.argocd.get("workloads") or [])


def _password(namespace: str) -> str:
    secret = "argocd-initial-admin-secret"  # noqa: S105 - a name, not a password
    return f"kubectl -n {namespace} get secret {secret} -o jsonpath='{{.data.password}}' | base64 -d"


def _is_development(host: Found) -> bool:
    return host.cluster.get("provider") in ("k3d", "kind", "kwok")


def _commands(options: str, rehearsal: bool) -> dict[str, str]:
    """What makes, shows and removes."""
    if rehearsal:
        return {"bootstrap": "make rehearse", "status": "make rehearse-status", "teardown": "make rehearse-teardown"}
    names = ("bootstrap", "status", "teardown")
    return {name: f"ansible-playbook hubspoke.bootstrap.{name}{options}" for name in names}


def _next(options: str, sample: t.Mapping[str, t.Any], check_mode: bool, rehearsal: bool) -> list[str]:
    rows, commands = [], _commands(options, rehearsal)
    if check_mode:
        rows.append(("make it so", commands["bootstrap"]))
    elif sample.get("path"):
        # What is served inside the cluster is a copy.
        copied = not str(sample.get("url", "")).startswith("file:")
        follows = "run the bootstrap again" if copied else "Argo CD follows within minutes"
        rows.append(("change something", f"commit to {sample['path']}; {follows}"))
        rows.append(
            ("your repository", "set gitops_root_repository and gitops_root_path in the inventory, and run again")
        )
    rows.append(("see how it is", commands["status"]))
    rows.append(("take it down", commands["teardown"]))
    return ["Next:", *columns(("", ""), rows)[1:]]


def _relative(path: str) -> str:
    """From where the user stands, if that is shorter."""
    relative = os.path.relpath(path)
    return relative if os.path.isabs(path) and not relative.startswith("..") else path


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter of this file."""
        return {"bootstrap_summary": bootstrap_summary}

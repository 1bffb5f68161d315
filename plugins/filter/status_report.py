# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What exists, as tables."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import left
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.status import OF_A_REHEARSAL, Entry, Found
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.text import columns

DOCUMENTATION = r"""
name: status_report
short_description: Tables of clusters, Argo CD, the clusters registered in it, Applications, and what External Secrets has
version_added: "0.1.0"
description:
  - Text for people about what role C(status) found on each host.
options:
  _input:
    description:
      - For each host C(host), and the results of M(hubspoke.bootstrap.dev_cluster_info) as C(cluster),
        M(hubspoke.bootstrap.argocd_info) as C(argocd), M(hubspoke.bootstrap.eks_capability) as C(capability),
        M(hubspoke.bootstrap.local_processes_info) as C(processes),
        M(hubspoke.bootstrap.argocd_application_info) as C(applications), those of
        M(hubspoke.bootstrap.argocd_cluster_info) as C(registered) and of M(hubspoke.bootstrap.external_secrets_info) as
        C(external_secrets), as far as they are there.
    type: list
    elements: dict
    required: true
author:
  - hubspoke.bootstrap contributors
"""

EXAMPLES = r"""
- name: Say it
  ansible.builtin.debug:
    msg: "{{ [{'host': 'dev', 'cluster': dev, 'applications': applications}] | hubspoke.bootstrap.status_report }}"
"""

RETURN = r"""
_value:
  description: Several lines.
  type: str
"""

_MISSING = "not there"


def status_report(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """All tables of all hosts."""
    found = [Found.of(host) for host in hosts]
    lines = ["CLUSTERS", *_clusters(found)]
    several = len(found) > 1
    for host in found:
        if not host.running and not host.processes:
            continue
        where = f" on {host.name}" if several else ""
        if host.has_argocd or host.processes or not several:
            lines += ["", f"ARGO CD{where}", *_argocd(host)]
        if any(not entry.get("implicit") for entry in host.registered):
            lines += ["", f"REGISTERED CLUSTERS{where}", *_registered(host)]
        if host.has_argocd or host.applications:
            lines += ["", f"APPLICATIONS{where}", *_applications(host)]
        if host.secrets:
            lines += ["", f"EXTERNAL SECRETS{where}", *_secrets(host)]
    problems = [f"  {host.name}: {problem}" for host in found for problem in host.problems]
    return "\n".join(lines + (["", "NOT KNOWN", *problems] if problems else []))


def _clusters(found: list[Found]) -> list[str]:
    rows = []
    for host in found:
        cluster = host.cluster
        state = str(cluster.get("state") or "not known")
        state = _MISSING if state == "absent" else state
        there = state != _MISSING
        rows.append(
            (
                host.name,
                cluster.get("provider", ""),
                state,
                cluster.get("version", ""),
                host.nodes if there else "",
                cluster.get("address", "") if there else "",
                cluster.get("kubeconfig", "") if there else "",
            )
        )
    lines = columns(("NAME", "PROVIDER", "STATE", "VERSION", "NODES", "API", "KUBECONFIG"), rows)
    notes = [f"  {host.name}: {host.cluster['problem']}" for host in found if host.cluster.get("problem")]
    return lines + notes


def _argocd(host: Found) -> list[str]:
    argocd = host.argocd
    if host.capability:
        return _by_aws(host)
    if not host.running:
        lines = ["  its cluster does not run"]
    elif not host.has_argocd:
        lines = [f"  {_MISSING}"]
    else:
        by = f", installed by {argocd['installed_by']}" if argocd.get("installed_by") else ""
        lines = [f"  {argocd.get('version') or 'version not known'} ({argocd.get('variant') or 'standard'}){by}"]
    if host.cluster.get("simulated"):
        lines.append(
            "  as processes on this machine:" if host.processes else "  its processes on this machine: not there"
        )
        lines += (
            columns(
                ("PROCESS", "STATE", "LISTENS", "LACKS"),
                (
                    (
                        p["name"],
                        p.get("state", ""),
                        " ".join(p.get("listens") or []),
                        "" if p.get("works") else p.get("lacks", ""),
                    )
                    for p in host.processes
                ),
            )
            if host.processes
            else []
        )
    elif host.has_argocd:
        lines.append("  as pods:")
        lines += columns(
            ("WORKLOAD", "KIND", "STATE"),
            (
                (w["name"], w.get("kind", ""), "ready" if w.get("ready") else w.get("lacks") or "not ready")
                for w in argocd.get("workloads") or []
            ),
        )
    return lines


def _by_aws(host: Found) -> list[str]:
    capability = host.capability
    version = capability.get("version") or "version not known"
    lines = [f"  {version}, run by AWS as capability {capability.get('name', '')}: {capability.get('status', '')}"]
    lines += [f"  {host.url}"] if host.url else []
    lines += [f"  {OF_A_REHEARSAL}"] if host.cluster.get("simulated") else []
    if host.argocd.get("installed"):
        lines.append(
            f"  and {host.argocd.get('version', '')} in the cluster beside it: both reconcile the same Applications"
        )
    return lines


def _registered(host: Found) -> list[str]:
    """The clusters that Argo CD knows, with what is wrong with them below."""
    rows = [
        (
            entry.get("name") or entry.get("secret") or "",
            entry.get("server", ""),
            entry["credential"]["kind"].replace("_", " "),
            _expires(entry["credential"]),
            (entry.get("connection") or {}).get("status", ""),
            "" if entry.get("applications") is None else len(entry["applications"]),
            entry.get("owner", ""),
        )
        for entry in host.registered
    ]
    lines = columns(("NAME", "SERVER", "CREDENTIAL", "EXPIRES", "CONNECTION", "APPLICATIONS", "OWNER"), rows)
    lines += [f"  {entry['secret']}: {entry['problem']}" for entry in host.registered if entry.get("problem")]
    lines += [
        f"  {each['value']}: the {each['field']} of more than one Secret, {', '.join(each['secrets'])}"
        for each in host.duplicates
    ]
    return lines


def _expires(credential: Entry) -> str:
    """When it ends, in the largest unit that is not too coarse."""
    seconds = credential.get("seconds_left")
    if seconds is None:
        return ""
    text = left(timedelta(seconds=abs(seconds)))
    return f"expired {text} ago" if credential.get("expired") else f"in {text}"


def _applications(host: Found) -> list[str]:
    tree = host.tree()
    if not tree:
        return [f"  {_MISSING}"]
    rows = [
        (
            "  " * depth + entry["name"],
            entry.get("wave", "") if entry.get("parent") else "",
            entry.get("sync", "ApplicationSet" if "sync" not in entry else ""),
            entry.get("health", ""),
            ", ".join(revision[:8] for revision in entry.get("revisions") or []),
            _source(entry),
        )
        for depth, entry in tree
    ]
    lines = columns(("NAME", "WAVE", "SYNC", "HEALTH", "REVISION", "SOURCE"), rows)
    stuck = [entry for _depth, entry in tree if entry.get("state") not in ("ready", None)]
    for entry in stuck:
        lines.append(f"  {entry['name']}: {entry.get('message', '')}")
        lines += [f"    {finding}" for finding in entry.get("failing") or []]
    return lines


def _secrets(host: Found) -> list[str]:
    """Stores and what they bring, with what is wrong with them below."""
    rows = [
        (entry["kind"], entry["namespace"], entry["name"], entry["reason"] or ("" if entry["ready"] else "not ready"))
        for entry in host.secrets
    ]
    lacking = [entry for entry in host.secrets if not entry["ready"]]
    return columns(("KIND", "NAMESPACE", "NAME", "STATE"), rows) + [
        f"  {entry['name']}: {entry['message']}" for entry in lacking
    ]


def _source(entry: Entry) -> str:
    """Where it comes from, in short."""
    texts = []
    for source in entry.get("sources") or []:
        at = f" at {source['revision']}" if source.get("revision") else ""
        texts.append(f"{source.get('repository', '')} {source.get('path') or source.get('chart') or ''}".strip() + at)
    return "; ".join(texts)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter of this file."""
        return {"status_report": status_report}

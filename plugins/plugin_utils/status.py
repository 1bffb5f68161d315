# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `status` found on one host, with whatever is not there left out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.text import plural

Entry = dict[str, t.Any]


OF_A_REHEARSAL = "the look-alike of AWS runs none: nothing is synced, and nothing answers at its address"
"""What is to be known of an Argo CD that AWS runs, where there is no AWS."""


@dataclass
class Found:
    """One host.

    :arg cluster: As module dev_cluster_info returns it.
    :arg argocd: As module argocd_info returns it.
    :arg capability: Where AWS runs Argo CD: as module eks_capability returns it.
    :arg processes: As module local_processes_info returns them.
    :arg registered: Clusters as module argocd_cluster_info returns them.
    :arg duplicates: What is registered twice, from the same module.
    :arg secrets: Stores, ExternalSecrets and PushSecrets as module external_secrets_info returns them.
    """

    host: str
    cluster: Entry = field(default_factory=dict)
    argocd: Entry = field(default_factory=dict)
    capability: Entry = field(default_factory=dict)
    processes: list[Entry] = field(default_factory=list)
    applications: list[Entry] = field(default_factory=list)
    application_sets: list[Entry] = field(default_factory=list)
    registered: list[Entry] = field(default_factory=list)
    duplicates: list[Entry] = field(default_factory=list)
    secrets: list[Entry] = field(default_factory=list)
    namespace: str = "argocd"
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: t.Mapping[str, t.Any]) -> Found:
        """From the registered results of the role, of which some were skipped or failed."""
        names = ("cluster", "argocd", "capability", "processes", "applications", "registered", "external_secrets")
        results = {name: data.get(name) or {} for name in names}
        failed = [str(result["msg"]) for result in results.values() if result.get("failed") and result.get("msg")]
        return cls(
            host=data["host"],
            cluster=results["cluster"].get("cluster") or {},
            argocd=results["argocd"],
            capability=results["capability"].get("capability") or {},
            processes=results["processes"].get("processes") or [],
            applications=results["applications"].get("applications") or [],
            application_sets=results["applications"].get("application_sets") or [],
            registered=results["registered"].get("clusters") or [],
            duplicates=results["registered"].get("duplicates") or [],
            secrets=[
                entry
                for stage in ("stores", "external_secrets", "push_secrets")
                for entry in results["external_secrets"].get(stage) or []
            ],
            namespace=data.get("namespace") or "argocd",
            # One cause fails several of them.
            problems=list(dict.fromkeys(failed)),
        )

    @property
    def name(self) -> str:
        """The cluster's name."""
        return str(self.cluster.get("name") or self.host)

    @property
    def running(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.cluster.get("running"))

    @property
    def nodes(self) -> str:
        """How many nodes there are."""
        servers, agents = self.cluster.get("servers") or 0, self.cluster.get("agents") or 0
        if not servers + agents:
            return ""
        counts = [plural(servers, "server")] + ([plural(agents, "agent")] if agents else [])
        return ", ".join(counts) + (" (simulated)" if self.cluster.get("simulated") else "")

    @property
    def has_argocd(self) -> bool:
        """Whether Argo CD is installed."""
        return bool(self.argocd.get("installed") or self.capability)

    @property
    def url(self) -> str:
        """Where Argo CD's own server answers, on this machine or in AWS; empty where it does not."""
        if self.capability:
            return str((self.capability.get("argo_cd") or {}).get("server_url") or "")
        for process in self.processes:
            if process.get("name") == "argocd-server" and process.get("works"):
                # The lowest port is that of the API and the web pages, the next one that of the metrics.
                ports = sorted(int(address.rpartition(":")[2]) for address in process.get("listens") or [])
                return f"http://127.0.0.1:{ports[0]}" if ports else ""
        return ""

    def tree(self) -> list[tuple[int, Entry]]:
        """Applications and ApplicationSets with their depths, each after what manages it, in order of their waves."""
        entries = [*self.application_sets, *self.applications]
        names = {entry["name"] for entry in entries}
        children: dict[str, list[Entry]] = {}
        for entry in entries:
            parent = entry.get("parent") or ""
            children.setdefault(parent if parent in names and parent != entry["name"] else "", []).append(entry)
        ordered: list[tuple[int, Entry]] = []
        seen: set[int] = set()

        def visit(name: str, depth: int) -> None:
            for entry in sorted(children.get(name, []), key=lambda e: (e.get("wave", 0), e["name"])):
                if id(entry) not in seen:
                    seen.add(id(entry))
                    ordered.append((depth, entry))
                    visit(entry["name"], depth + 1)

        visit("", 0)
        # Applications that manage each other in a circle hang from nothing.
        return ordered + [(0, entry) for entry in entries if id(entry) not in seen]

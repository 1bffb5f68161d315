# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which git repositories the inventory names, and with which credentials Argo CD will read them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, concurrently
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_git import CREDENTIAL, Target, ask

ROOT, REVISION = "gitops_root_repository", "gitops_root_revision"
APPLICATIONS, SETS = "gitops_root_applications", "gitops_root_application_sets"
REPOSITORIES, TEMPLATES = "argocd_repositories", "argocd_repository_credentials"


def repositories(survey: Survey) -> Iterator[Finding]:
    """Every repository that a hub's Argo CD will read, several at a time."""
    hubs = [host for host in survey.hosts if host.name in survey.hubs]
    targets = [target for host in hubs for target in wanted(host)]
    yield from concurrently(lambda target: ask(target, survey.probe), targets)


def wanted(host: Host) -> list[Target]:
    """The repositories of one host, each with each of its revisions once."""
    found: dict[tuple[str, str], Target] = {}
    for variable, url, revision, revision_variable in _named(host):
        # What a generator fills in is known only to Argo CD.
        if url and "{{" not in url and "{{" not in revision:
            target = Target(
                host.name,
                variable,
                url,
                revision,
                revision_variable,
                local_reader=host.simulated,
                credential=credential(host, url),
            )
            found.setdefault((normalized(url), revision), target)
    # An entry of argocd_repositories has no revision: it is asked only where nothing else asks the same.
    asked = {url for url, revision in found if revision}
    return [target for (url, revision), target in found.items() if revision or url not in asked]


def _named(host: Host) -> Iterator[tuple[str, str, str, str]]:
    """Variable, address, revision, and the variable of the revision."""
    root = host.text(ROOT)
    if root:
        yield ROOT, root, host.text(REVISION) or "HEAD", REVISION
    for item in _mappings(host.get(APPLICATIONS)):
        if not item.get("chart"):
            url, revision = item.get("repository"), item.get("revision")
            inherited = url or ("" if "spec" in item or "kind" in item else root)
            yield APPLICATIONS, str(inherited), str(revision or host.text(REVISION) or "HEAD"), APPLICATIONS
        for url, revision in _sources(item):
            yield APPLICATIONS, url, revision, APPLICATIONS
    for item in _mappings(host.get(SETS)):
        for url, revision in _sources(item):
            yield SETS, url, revision, SETS
    for item in _mappings(host.get(REPOSITORIES)):
        # A credential in such an address is a problem of the settings.
        if item.get("type") in (None, "git") and not CREDENTIAL.search(str(item.get("url"))):
            yield REPOSITORIES, str(item.get("url") or ""), "", REPOSITORIES


def _sources(value: t.Any) -> Iterator[tuple[str, str]]:
    """Every git source of a full definition, however deep it lies: sources, and generators that read files."""
    if isinstance(value, dict):
        if isinstance(value.get("repoURL"), str) and not value.get("chart"):
            yield value["repoURL"], str(value.get("targetRevision") or value.get("revision") or "HEAD")
        for inner in value.values():
            yield from _sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _sources(inner)


def credential(host: Host, url: str) -> Mapping[str, t.Any]:
    """The entry that Argo CD uses for an address: the repository's own, else the longest template that fits."""
    for item in _mappings(host.get(REPOSITORIES)):
        if normalized(str(item.get("url") or "")) == normalized(url):
            return item
    templates = {str(item["url"]): item for item in _mappings(host.get(TEMPLATES)) if item.get("url")}
    longest = max((prefix for prefix in templates if url.startswith(prefix)), key=len, default="")
    return templates.get(longest, {})


def normalized(url: str) -> str:
    """Equal for addresses of the same repository."""
    return url.strip().rstrip("/").removesuffix(".git").lower()


def _mappings(value: t.Any) -> list[dict[str, t.Any]]:
    return [item for item in value or [] if isinstance(item, dict)]

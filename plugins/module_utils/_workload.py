# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a workload's containers are given: arguments, environment, mounted ConfigMaps; as the kubelet works it out."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object

KINDS = ("Deployment", "StatefulSet", "DaemonSet")

Lookup = t.Callable[[str, str], "dict[str, str] | None"]
"""The data of a ConfigMap or Secret (kind, name), None where there is none."""

# $(NAME), or $$ which stands for a dollar sign that begins nothing
_REFERENCE = re.compile(r"\$(?:\$|\(([^()]+)\))")


@dataclass
class Given:
    """What one container is given.

    :arg environment: Variables whose values may be seen.
    :arg secret: Variables whose values come from Secrets, directly or as a part.
    :arg missing: What it cannot start without.
    """

    environment: dict[str, str] = field(default_factory=dict)
    secret: dict[str, str] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)

    def _put(self, name: str, value: str, secret: bool) -> None:
        self.environment.pop(name, None)
        self.secret.pop(name, None)
        (self.secret if secret else self.environment)[name] = value


class _Resolver:
    def __init__(self, lookup: Lookup, fields: t.Mapping[str, str]) -> None:
        self._lookup = lookup
        self._fields = fields
        self.given = Given()

    def add_all(self, source: Object) -> None:
        """One entry of envFrom."""
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                data = self._lookup(kind, source[key]["name"])
                if data is None and not source[key].get("optional"):
                    self._miss(kind, source[key]["name"], "")
                for name, value in (data or {}).items():
                    self.given._put(source.get("prefix", "") + name, value, kind == "Secret")

    def add(self, entry: Object) -> None:
        """One entry of env."""
        name, source = entry["name"], entry.get("valueFrom")
        if source is None:
            value, secret = self.expand(entry.get("value") or "")
            self.given._put(name, value, secret)
        elif "fieldRef" in source:
            self.given._put(name, self._fields.get(source["fieldRef"]["fieldPath"], ""), False)
        for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            reference = (source or {}).get(key)
            if reference:
                data = self._lookup(kind, reference["name"]) or {}
                if reference["key"] in data:
                    self.given._put(name, data[reference["key"]], kind == "Secret")
                elif not reference.get("optional"):
                    self._miss(kind, reference["name"], reference["key"])

    def expand(self, text: str) -> tuple[str, bool]:
        """The text with references to variables replaced, and whether a secret is in it now."""
        secret = False

        def value(match: re.Match[str]) -> str:
            nonlocal secret
            name = match.group(1)
            if name is None:
                return "$"
            secret = secret or name in self.given.secret
            return self.given.secret.get(name, self.given.environment.get(name, match.group(0)))

        return _REFERENCE.sub(value, text), secret

    def _miss(self, kind: str, name: str, key: str) -> None:
        self.given.missing.append({"kind": kind, "name": name, "key": key})


def given(container: Object, lookup: Lookup, fields: t.Mapping[str, str]) -> Given:
    """The environment of a container.

    :arg fields: What the downward API would answer, by field path.
    """
    resolver = _Resolver(lookup, fields)
    for source in container.get("envFrom") or []:
        resolver.add_all(source)
    for entry in container.get("env") or []:
        resolver.add(entry)
    return resolver.given


def words(texts: t.Iterable[str] | None, environment: t.Mapping[str, str]) -> list[str]:
    """Command or arguments with references replaced; those to secrets stay as they are."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else environment.get(name, match.group(0))

    return [_REFERENCE.sub(value, text) for text in texts or []]


def mounts(container: Object, volumes: t.Iterable[Object], lookup: Lookup) -> list[dict[str, t.Any]]:
    """The folders of a container that a ConfigMap fills."""
    sources = {volume["name"]: volume["configMap"] for volume in volumes if "configMap" in volume}
    found = []
    for mount in container.get("volumeMounts") or []:
        source = sources.get(mount["name"])
        if source is not None and not mount.get("subPath"):
            data = lookup("ConfigMap", source["name"]) or {}
            items = {item["key"]: item["path"] for item in source.get("items") or []} or {key: key for key in data}
            files = {path: data[key] for key, path in items.items() if key in data}
            found.append({"path": mount["mountPath"], "config_map": source["name"], "files": files})
    return found


def describe(workload: Object, lookup: Lookup) -> list[dict[str, t.Any]]:
    """Every container of a workload, init containers left out."""
    metadata, spec = workload["metadata"], workload["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    fields = {
        "metadata.namespace": metadata.get("namespace", ""),
        "metadata.name": metadata["name"],
        "spec.serviceAccountName": pod.get("serviceAccountName", "default"),
        **{f"metadata.labels['{name}']": value for name, value in labels.items()},
    }
    found = []
    for container in pod["containers"]:
        gets = given(container, lookup, fields)
        found.append(
            {
                "kind": workload["kind"],
                "workload": metadata["name"],
                "replicas": spec.get("replicas", 1),
                "service_account": fields["spec.serviceAccountName"],
                "name": container["name"],
                "image": container.get("image", ""),
                "command": words(container.get("command"), gets.environment),
                "args": words(container.get("args"), gets.environment),
                "environment": gets.environment,
                "secret_environment": gets.secret,
                "mounts": mounts(container, pod.get("volumes") or [], lookup),
                "missing": gets.missing,
            }
        )
    return found


def read(kube: Kube, namespace: str, label_selector: str | None) -> list[dict[str, t.Any]]:
    """Every container of the workloads of a namespace."""
    known: dict[tuple[str, str], dict[str, str] | None] = {}

    def lookup(kind: str, name: str) -> dict[str, str] | None:
        if (kind, name) not in known:
            known[kind, name] = _data(kube.get("v1", kind, name, namespace))
        return known[kind, name]

    return [
        container
        for kind in KINDS
        for workload in kube.list("apps/v1", kind, namespace, label_selector)
        for container in describe(workload, lookup)
    ]


def _data(source: Object | None) -> dict[str, str] | None:
    """A ConfigMap's or Secret's data as text; what is no text cannot be a variable and is left out."""
    if source is None:
        return None
    data: dict[str, str] = dict(source.get("data") or {})
    if source.get("kind") == "Secret":
        decoded = {}
        for name, value in data.items():
            try:
                decoded[name] = base64.b64decode(value).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
        return decoded
    return data

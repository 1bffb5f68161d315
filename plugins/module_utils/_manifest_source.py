# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the objects of a manifest set come from: files, directories, kustomizations, charts, inline definitions."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_chart import Chart, render
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import DUMPER, IMPORT_ERROR, LOADER, yaml

Object = dict[str, t.Any]
_SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATION = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def load(
    files: t.Iterable[str],
    directories: t.Iterable[str],
    kustomizations: t.Iterable[str],
    definitions: t.Iterable[Object],
    kubectl: str = "kubectl",
    *,
    charts: t.Iterable[Chart] = (),
    helm: str = "helm",
) -> list[Object]:
    """Every object of the set, Lists unfolded, in the order given.

    :arg kubectl: The kubectl that builds kustomizations.
    :arg helm: The helm that renders charts.
    :raises HubspokeError: something cannot be read, does not parse, is no Kubernetes object, or is there twice.
    """
    if IMPORT_ERROR:
        raise HubspokeError(f"A Python library is missing: {IMPORT_ERROR}.", "Install PyYAML.")
    found: list[tuple[str, Object]] = []
    for path in [*files, *(name for directory in directories for name in _listed(directory))]:
        found += [(path, document) for document in parse(_read(path), path)]
    for path in kustomizations:
        found += [(path, document) for document in parse(_kustomize(path, kubectl), path)]
    for chart in charts:
        found += [(chart.path, document) for document in parse(render(chart, helm), chart.path)]
    for number, document in enumerate(definitions, 1):
        found += [(f"definitions[{number}]", item) for item in _unfold(document)]
    objects: dict[tuple[str, ...], Object] = {}
    for source, document in found:
        key = _checked(document, source)
        if key in objects:
            raise HubspokeError(
                f"{document['kind']} {key[-1]} is in the set twice, the second time in {source}.",
                "Remove one: which of them should win cannot be known.",
            )
        objects[key] = document
    return list(objects.values())


def parse(text: str, source: str) -> list[Object]:
    """The objects of a YAML or JSON text.

    :arg source: What to call the text in an error.
    :raises HubspokeError: it does not parse; the message carries line and column.
    """
    try:
        documents = list(yaml.load_all(text, Loader=LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise HubspokeError(
            f"{source}{where}: this is not YAML: {problem}.", "Correct the file; nothing was applied."
        ) from error
    return [item for document in documents if document is not None for item in _unfold(document)]


def _unfold(document: t.Any) -> list[t.Any]:
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
        return list(document["items"] or [])
    return [document]


def _checked(document: t.Any, source: str) -> tuple[str, ...]:
    """The identity of an object, after a look at the fields that every object has."""
    if not isinstance(document, dict):
        raise HubspokeError(
            f"{source}: a {type(document).__name__} where a Kubernetes object should be.", "Correct it."
        )
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            raise HubspokeError(
                f"{source}: an object without {field}.", "Is this a Kubernetes manifest? Add the field."
            )
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise HubspokeError(
            f"{source}: a {document['kind']} without metadata.name.",
            "Name it (generateName cannot be applied again and again).",
        )
    group = document["apiVersion"].rpartition("/")[0]
    return group, document["kind"], metadata.get("namespace") or "", metadata["name"]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HubspokeError(f"The manifest {path} cannot be read: {reason}.", "Correct the path.") from error


def _listed(directory: str) -> list[str]:
    """The manifests directly in a directory, by name, as `kubectl apply -f DIR` takes them."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise HubspokeError(
            f"The directory {directory} cannot be read: {error.strerror}.", "Correct the path."
        ) from error
    if any(name in names for name in _KUSTOMIZATION):
        raise HubspokeError(f"{directory} is a kustomization.", "Give it under kustomizations, not directories.")
    paths = [os.path.join(directory, name) for name in names if name.endswith(_SUFFIXES)]
    if not paths:
        raise HubspokeError(f"The directory {directory} holds no .yaml, .yml or .json file.", "Correct the path.")
    return paths


def _kustomize(path: str, kubectl: str) -> str:
    try:
        done = subprocess.run([kubectl, "kustomize", path], capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError as error:
        raise HubspokeError(
            f"{kubectl}, which builds the kustomization {path}, is not there.",
            "Set the module's `kubectl` to one (the module toolchain returns a path).",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise HubspokeError(
            f"The kustomization {path} was not built within 300 s.", "Try `kubectl kustomize`."
        ) from error
    if done.returncode != 0:
        raise HubspokeError(f"The kustomization {path} cannot be built: {done.stderr.strip()}", "Correct it.")
    return done.stdout


def dump(item: Object) -> str:
    """An object as YAML, for people to read."""
    return str(yaml.dump(item, Dumper=DUMPER, sort_keys=True, default_flow_style=False, width=120))

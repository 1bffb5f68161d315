# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypted files as Secrets of one cluster: what has not changed is neither decrypted nor written."""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_plan as manifest_plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_document as document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_identity import Key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_key import short
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest import ManifestSet, Options, Outcome
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Object, Ref
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Task
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._pull_secrets import Wanted as Pulling
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import (
    STALE,
    Problem,
    Survey,
    problems,
    refuse,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_run import Sops
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_secrets import Entry

SET_SPEC: dict[str, t.Any] = {
    "create_namespaces": {"type": "bool", "default": True},
    "force_conflicts": {"type": "bool", "default": False},
    "cluster_present": {"type": "bool", "default": True},
    **CONNECTION_SPEC,
}
"""As the fragment `hubspoke.bootstrap.secret_set` documents them."""


def connection(task: Task) -> Kube | None:
    """The cluster; None where it is yet to be made."""
    absent = task.check_mode and not task.params["cluster_present"]
    return None if absent else Kube.from_params(task.params)


def options(task: Task, set_name: str, namespace: str = "default", prune: bool = True) -> Options:
    """How a set of Secrets is handled."""
    return Options(
        name=set_name,
        namespace=namespace,
        field_manager=f"hubspoke.bootstrap-{set_name}",
        force_conflicts=task.params["force_conflicts"],
        prune=prune,
        keep=("Namespace",),
        check_mode=task.check_mode,
        progress=task.progress,
    )


@dataclass
class Loaded:
    """The Secrets that the files ask for.

    :arg objects: All of them; of those that stay as they are, as they are on the cluster.
    :arg untouched: Those.
    :arg decrypted: How many files had to be.
    """

    entries: t.Sequence[Entry] = ()
    objects: list[Object] = field(default_factory=list)
    untouched: dict[tuple[str, str, str, str], Object] = field(default_factory=dict)
    decrypted: int = 0


class SecretSet(ManifestSet):
    """A manifest set which knows of some objects that they are as they should be."""

    def __init__(
        self, kube: Kube | None, objects: list[Object], options: Options, untouched: t.Container[t.Any]
    ) -> None:
        super().__init__(kube, objects, options)
        self._untouched = untouched

    def _apply_one(self, item: Object) -> Outcome:
        ref = Ref.of(item)
        if ref.identity in self._untouched:
            return Outcome(ref, manifest_plan.UNCHANGED, item, item)
        return super()._apply_one(item)


def intact(live: Object, source: str, checksum: str, field_manager: str) -> bool:
    """Whether a Secret is what was made of that source, and nobody else has laid hands on its data.

    The server keeps who owns which key: what another has written is not ours any more, nor what somebody deleted.
    """
    metadata = live["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if annotations.get(secrets.CHECKSUM) != checksum or annotations.get(secrets.SOURCE) != source:
        return False
    fields = [each for each in metadata.get("managedFields") or [] if not each.get("subresource")]
    mine = [each for each in fields if (each.get("manager"), each.get("operation")) == (field_manager, "Apply")]
    if len(mine) != 1 or any("f:data" in (each.get("fieldsV1") or {}) for each in fields if each is not mine[0]):
        return False
    owned = mine[0].get("fieldsV1") or {}
    my_labels, my_annotations = (
        {key: known[key] for key in _keys(owned.get("f:metadata", {}).get(name)) if key in known}
        for name, known in (("f:labels", labels), ("f:annotations", annotations))
    )
    data = live.get("data") or {}
    # Of what somebody has deleted the server forgets the owner too: that is why its name is in the digest.
    shape = secrets.shape(my_labels, my_annotations, data)
    return _keys(owned.get("f:data")) == set(data) and shape == annotations.get(secrets.SHAPE)


def _keys(fields: t.Any) -> set[str]:
    return {key[2:] for key in fields or {} if key.startswith("f:")}


@dataclass(frozen=True)
class Way:
    """How files become Secrets.

    :arg recipients: Those of the key that is there; None where sops finds one by itself.
    :arg set_name: Of the set, which their label carries.
    """

    sops: Sops
    recipients: t.Sequence[str] | None
    set_name: str
    field_manager: str


def load(survey: Survey, entries: t.Sequence[Entry], way: Way, live: t.Sequence[Object]) -> Loaded:
    """What the files ask for. All are looked at, and those that changed decrypted, before anything is written.

    :arg live: The Secrets of the set as they are on the cluster.
    :raises HubspokeError: a file is missing, damaged, not encrypted, for somebody else, or holds no Secrets.
    """
    loaded = Loaded(entries)
    found: list[Problem] = []
    by_source: dict[str, list[Object]] = {}
    for item in live:
        by_source.setdefault((item["metadata"].get("annotations") or {}).get(secrets.SOURCE, ""), []).append(item)
    todo: list[tuple[Entry, str, int]] = []
    for entry in entries:
        file = document.read(survey.root, entry.file)
        # Changed or not: what it says of itself has to be right.
        wrong = [each for each in problems(file, survey.rule(entry.file), way.recipients) if each.kind != STALE]
        if wrong:
            found += wrong
            continue
        checksum = entry.checksum((survey.root / entry.file).read_bytes())
        mine = by_source.get(entry.file, [])
        whole = mine and all(
            intact(each, entry.file, checksum, way.field_manager)
            and (each["metadata"]["annotations"]).get(secrets.COUNT) == str(len(mine))
            for each in mine
        )
        if whole:
            loaded.objects += mine
            loaded.untouched.update({Ref.of(each).identity: each for each in mine})
        else:
            todo.append((entry, checksum, file.documents))
    refuse(found)
    loaded.decrypted = len(todo)
    loaded.objects += _decrypted(survey.root, todo, way)
    return loaded


def _decrypted(root: Path, todo: t.Sequence[tuple[Entry, str, int]], way: Way) -> list[Object]:
    def attempt(work: tuple[Entry, str, int]) -> list[Object] | HubspokeError:
        entry, checksum, count = work
        try:
            return secrets.objects(entry, way.sops.documents(root, entry.file, count), checksum, way.set_name)
        except HubspokeError as error:
            return error

    with ThreadPoolExecutor(cpu_count() or 2) as pool:
        results = list(pool.map(attempt, todo))
    failed = [each for each in results if isinstance(each, HubspokeError)]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        lines = "\n".join(f"  {error}" for error in failed)
        raise HubspokeError(f"{len(failed)} of {len(todo)} files cannot be applied; nothing was changed:\n{lines}")
    return [item for each in results if isinstance(each, list) for item in each]


def namespaces(kube: Kube | None, items: t.Iterable[Object]) -> list[Object]:
    """Those that Secrets go to and that are not there yet: whoever brings the applications finds them made."""
    wanted = sorted({item["metadata"]["namespace"] for item in items})
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in wanted
        if name != "default" and (kube is None or kube.get("v1", "Namespace", name) is None)
    ]


def pulling(entries: t.Iterable[Entry], objects: t.Iterable[Object], live: t.Iterable[Object]) -> Pulling:
    """Which service accounts pull with the logins to registries among the Secrets.

    :arg objects: What is wanted; the logins that are on the cluster and not among them are nobody's any more.
    """
    accounts: dict[tuple[str, str], set[str]] = {}
    by_file = {entry.file: entry.service_accounts for entry in entries}
    logins = [item for item in objects if item["type"] == secrets.DOCKER]
    for item in logins:
        metadata = item["metadata"]
        for name in by_file[metadata["annotations"][secrets.SOURCE]]:
            accounts.setdefault((metadata["namespace"], name), set()).add(metadata["name"])
    ours = [*logins, *(item for item in live if item["type"] == secrets.DOCKER)]
    return Pulling(
        {place: frozenset(names) for place, names in accounts.items()},
        frozenset((item["metadata"]["namespace"], item["metadata"]["name"]) for item in ours),
    )


# The key itself, for what decrypts inside the cluster


@dataclass(frozen=True)
class KeySecret:
    """Where a key goes.

    :arg field: Key of the Secret's data, which whoever reads it prescribes.
    """

    name: str
    namespace: str
    field: str


def key_object(wanted: KeySecret, key: Key, set_name: str) -> Object:
    """The Secret with a key's identities."""
    if not key.secrets:
        raise HubspokeError(
            f"The key at {key.source} is an SSH key, which is not handed to a cluster.", "Use an age identity for that."
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secrets.OPAQUE,
        "metadata": {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": {secrets.SET_LABEL: set_name},
            "annotations": {"hubspoke.bootstrap/recipients": ",".join(key.recipients)},
        },
        "data": {wanted.field: secrets.encoded("\n".join(key.secrets) + "\n")},
    }


def prove(kube: Kube, wanted: KeySecret, binary: str, age_keygen: str, environment: Mapping[str, str]) -> None:
    """Open something with the key that is in the cluster, as it is there.

    :raises HubspokeError: it does not open what is encrypted for it.
    """
    live = kube.get("v1", "Secret", wanted.name, wanted.namespace)
    where = f"Secret {wanted.namespace}/{wanted.name}, {wanted.field}"
    text = base64.b64decode(((live or {}).get("data") or {}).get(wanted.field) or "").decode(errors="replace")
    identities = identity.parse(text, where)
    recipients = identity.recipients(identities, where, age_keygen)
    for secret, recipient in zip(identities, recipients, strict=True):
        key = Key(where, "", (recipient,), {identity.VALUE: secret}, (secret,))
        try:
            Sops(binary, key, environment).round_trip(recipient)
        except HubspokeError as error:
            raise HubspokeError(
                f"{where}: what is encrypted for {short(recipient)} is not opened by it. {error.message}",
                "Does something else write this Secret?",
            ) from error

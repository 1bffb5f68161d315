# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""External Secrets on a cluster: reading it, and waiting for one thing after the other."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_state as state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._external_secrets_state import GROUP, State
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

STAGES = ("definitions", "webhooks", "stores", "external_secrets", "push_secrets")
"""In the order in which they can become ready."""

API = {
    "ClusterSecretStore": f"{GROUP}/v1",
    "SecretStore": f"{GROUP}/v1",
    "ExternalSecret": f"{GROUP}/v1",
    "PushSecret": f"{GROUP}/v1alpha1",
}
KINDS = {
    "stores": ("ClusterSecretStore", "SecretStore"),
    "external_secrets": ("ExternalSecret",),
    "push_secrets": ("PushSecret",),
}
_NEEDED = (f"secretstores.{GROUP}", f"externalsecrets.{GROUP}")
_WHAT = {
    "definitions": "The kinds of External Secrets are not served",
    "webhooks": "The webhooks of External Secrets do not answer",
    "stores": "Not every store is ready",
    "external_secrets": "Not every ExternalSecret is synced",
    "push_secrets": "Not every PushSecret is synced",
}
_SHOWN = 10

Wanted = t.Mapping[str, t.Any]


class ExternalSecrets:
    """External Secrets of one cluster.

    :arg wanted: The objects that are meant (kind, name, namespace); all there are where it is empty.
    """

    def __init__(self, kube: Kube, wanted: t.Sequence[Wanted] = ()) -> None:
        self._kube = kube
        self._wanted = wanted

    def read(self, stage: str) -> list[State]:
        """How everything of one stage is."""
        if stage == "definitions":
            return self._definitions()
        if stage == "webhooks":
            return self._webhooks()
        return [each for kind in KINDS[stage] for each in self._objects(kind)]

    def wait(self, stages: t.Iterable[str], timeout: float, say: Progress) -> None:
        """Wait until everything is ready, stage by stage.

        :arg timeout: Seconds for all of it.
        :raises HubspokeError: names what is not, the reason that it gives, and what helps.
        """
        deadline = time.monotonic() + timeout
        for stage in STAGES:
            if stage in stages:
                self._wait(stage, deadline, timeout, say)

    def _wait(self, stage: str, deadline: float, timeout: float, say: Progress) -> None:
        pause, said = 0.1, ""
        while True:
            lacking = [each for each in self.read(stage) if not each.ready]
            if not lacking:
                return
            if time.monotonic() > deadline:
                lacking = [self._with_origin(each) for each in lacking]
                raise HubspokeError(
                    f"{_WHAT[stage]} after {timeout:.0f} s. {sentences(lacking)}",
                    remedies(lacking),
                    not_ready=[each.result() for each in lacking],
                )
            line = f"waiting for {lacking[0].sentence}"
            if line != said and pause > 0.5:
                more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
                say(f"{line}{more}")
                said = line
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    def _definitions(self) -> list[State]:
        kind = "CustomResourceDefinition"
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        names = {*_NEEDED, *(f"{_plural(each['kind'])}.{GROUP}" for each in self._wanted)}
        found = {name: self._kube.get_path(f"{path}/{name}") for name in sorted(names)}
        return [state.of_definition(live) if live else state.absent(kind, "", name) for name, live in found.items()]

    def _webhooks(self) -> list[State]:
        configurations = self._kube.list("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
        ours = [each for each in configurations if any(map(state.about_us, each.get("webhooks") or []))]
        return [state.of_webhook(each, self._slices) for each in ours]

    def _slices(self, namespace: str, service: str) -> list[Object]:
        selector = f"kubernetes.io/service-name={service}"
        return self._kube.list("discovery.k8s.io/v1", "EndpointSlice", namespace, selector)

    def _objects(self, kind: str) -> list[State]:
        resource = self._kube.find(API[kind], kind, refresh=True)
        wanted = [(each.get("namespace") or "", each["name"]) for each in self._wanted if each["kind"] == kind]
        if resource is None:
            return [state.absent(kind, namespace, name) for namespace, name in wanted]
        if not self._wanted:
            found = [{**live, "kind": kind} for live in self._kube.pages(resource.path())]
            return [state.of_object(live, self._events) for live in found]
        states = []
        for namespace, name in wanted:
            live = self._kube.get_path(resource.path(namespace, name))
            there = live and state.of_object({**live, "kind": kind}, self._events)
            states.append(there or state.absent(kind, namespace, name))
        return states

    def _with_origin(self, lacking: State) -> State:
        """An ExternalSecret that names one store for all it takes, with what that store reads."""
        live = lacking.kind == "ExternalSecret" and self._get(lacking.kind, lacking.namespace, lacking.name)
        reference = live and live["spec"].get("secretStoreRef")
        if not reference:
            return lacking
        kind = reference.get("kind") or "SecretStore"
        store = self._get(kind, "" if kind == "ClusterSecretStore" else lacking.namespace, reference["name"])
        return dataclasses.replace(lacking, origin=state.origin({**store, "kind": kind})) if store else lacking

    def _get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self._kube.get(API[kind], kind, name, namespace)

    def _events(self, live: Object) -> list[Object]:
        # Those about what has no namespace are in this one.
        namespace = live["metadata"].get("namespace") or "default"
        query = {"fieldSelector": f"involvedObject.uid={live['metadata'].get('uid', '')}"}
        answer = self._kube.request("GET", f"/api/v1/namespaces/{namespace}/events", query=query)
        return list(answer.get("items") or [])


def sentences(lacking: t.Sequence[State]) -> str:
    """One sentence for each of the first."""
    more = f" And {len(lacking) - _SHOWN} more." if len(lacking) > _SHOWN else ""
    return " ".join(each.sentence for each in lacking[:_SHOWN]) + more


def remedies(lacking: t.Sequence[State]) -> str:
    """What helps, each thing once."""
    known = dict.fromkeys(each.remedy for each in lacking[:_SHOWN] if each.remedy)
    return " ".join(known) or "`kubectl describe` shows its events; the controller's log may say more."


def _plural(kind: str) -> str:
    return f"{kind.lower()}s"

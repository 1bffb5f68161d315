# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Applications belong together: roots, and what their repositories bring forth, read from the cluster at once."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import (
    API_VERSION,
    APPLICATION,
    APPLICATION_SET,
    GROUP,
    Key,
    Object,
    key,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube


@dataclass(frozen=True)
class Selection:
    """Which Applications are meant.

    :arg names: Applications by name; with no name at all and no selector, every one in the namespace.
    :arg sets: ApplicationSets by name, with what they generate.
    :arg descend: Also the Applications and ApplicationSets that these manage, and so on.
    """

    namespace: str = "argocd"
    names: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    label_selector: str | None = None
    descend: bool = False

    @property
    def roots(self) -> list[Key]:
        """Those that were named."""
        return [(APPLICATION, self.namespace, name) for name in self.names] + [
            (APPLICATION_SET, self.namespace, name) for name in self.sets
        ]


@dataclass
class Tree:
    """A selection as it was found.

    :arg items: Each one's object, None where it is expected and not there; parents come before their children.
    :arg parents: The parent of each that has one.
    """

    items: dict[Key, Object | None] = field(default_factory=dict)
    parents: dict[Key, Key] = field(default_factory=dict)

    def ancestors(self, item: Key) -> t.Iterator[Key]:
        """Its parent, that one's parent and so on."""
        seen = {item}
        while (parent := self.parents.get(item)) and parent not in seen:
            yield parent
            seen.add(parent)
            item = parent

    @property
    def found(self) -> list[Object]:
        """Those that are there."""
        return [item for item in self.items.values() if item is not None]

    @property
    def applications(self) -> list[Object]:
        """The Applications that are there."""
        return [item for item in self.found if item["kind"] == APPLICATION]


def grow(found: t.Mapping[Key, Object], roots: t.Iterable[Key], descend: bool) -> Tree:
    """The tree below the roots, breadth first."""
    generated: dict[Key, list[Key]] = {}
    for other in found.values():
        for owner in other["metadata"].get("ownerReferences") or []:
            if owner.get("kind") == APPLICATION_SET:
                set_key = (APPLICATION_SET, other["metadata"]["namespace"], owner["name"])
                generated.setdefault(set_key, []).append(key(other))
    tree = Tree()
    queue: list[tuple[Key, Key | None]] = [(root, None) for root in roots]
    while queue:
        current, parent = queue.pop(0)
        if parent:
            tree.parents.setdefault(current, parent)
        if current in tree.items:
            continue
        item: Object | None = found.get(current)
        tree.items[current] = item
        if item is not None and current[0] == APPLICATION_SET:
            queue += [(child, current) for child in sorted(generated.get(current, []))]
        elif item is not None and descend:
            queue += [(child, current) for child in children(item)]
    return tree


def children(app: Object) -> list[Key]:
    """The Applications and ApplicationSets among its resources, in order of their waves."""
    resources = [
        resource
        for resource in (app.get("status") or {}).get("resources") or []
        # What is to be pruned is on its way out, and what a hook makes comes and goes.
        if resource.get("group") == GROUP
        and resource.get("kind") in (APPLICATION, APPLICATION_SET)
        and not resource.get("requiresPruning")
        and not resource.get("hook")
    ]
    resources.sort(key=lambda resource: (resource.get("syncWave", 0), resource["name"]))
    return [(r["kind"], r.get("namespace") or app["metadata"]["namespace"], r["name"]) for r in resources]


class Reader:
    """Reads a selection: one list of Applications, and one of ApplicationSets where there are any to be read.

    :arg kube: The cluster Argo CD runs in.
    """

    def __init__(self, kube: Kube, selection: Selection) -> None:
        self._kube = kube
        self._selection = selection
        self._namespaces = {selection.namespace}
        self._with_sets = bool(selection.sets)

    @property
    def named(self) -> list[Key]:
        """Those that were named, whoever manages them."""
        return self._selection.roots

    @property
    def installed(self) -> bool:
        """Whether the cluster knows what an Application is."""
        return self._kube.find(API_VERSION, APPLICATION, refresh=True) is not None

    def read(self) -> Tree:
        """The selection as it is now.

        :raises HubspokeError: the cluster has no Argo CD.
        """
        if not self.installed:
            raise HubspokeError(
                f"The API server {self._kube.host} has no Applications: Argo CD's definitions of them are not there.",
                "Install Argo CD first, or correct kubeconfig and context.",
            )
        while True:
            found = self._list(APPLICATION)
            if self._with_sets:
                found.update(self._list(APPLICATION_SET))
            tree = grow(found, self._roots(found), self._selection.descend)
            if not self._must_look_further(tree):
                return tree

    def _list(self, kind: str) -> dict[Key, Object]:
        items: list[Object] = []
        for namespace in sorted(self._namespaces):
            items += self._kube.list(API_VERSION, kind, namespace)
        return {key(item): item for item in items}

    def _roots(self, found: t.Mapping[Key, Object]) -> list[Key]:
        selection = self._selection
        if selection.label_selector:
            chosen = self._kube.list(API_VERSION, APPLICATION, selection.namespace, selection.label_selector)
            return [*selection.roots, *(key(item) for item in chosen)]
        if selection.roots:
            return selection.roots
        return sorted(item for item in found if item[1] == selection.namespace)

    def _must_look_further(self, tree: Tree) -> bool:
        """Whether the tree reaches into kinds or namespaces that were not read."""
        namespaces = {item[1] for item in tree.items} - self._namespaces
        sets = not self._with_sets and any(item[0] == APPLICATION_SET for item in tree.items)
        self._namespaces |= namespaces
        self._with_sets = self._with_sets or sets
        return bool(namespaces) or sets

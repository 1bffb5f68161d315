# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Applications and ApplicationSets target a cluster, in which words, and how they are removed."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_targets as targets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_literals import destinations

Object = dict[str, t.Any]
TOKYO = "https://tokyo.example.com:6443"
FINALIZER = "resources-finalizer.argocd.argoproj.io"


def application(
    name: str, destination: Object, source: str = "", namespace: str = "argocd", finalizers: t.Sequence[str] = ()
) -> Object:
    owners = [{"kind": "ApplicationSet", "name": source}] if source else []
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "ownerReferences": owners,
            "finalizers": list(finalizers),
        },
        "spec": {"destination": destination},
    }


def application_set(name: str, destination: Object, *generators: Object) -> Object:
    return {
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"template": {"spec": {"destination": destination}}, "generators": list(generators)},
    }


def found(applications: list[Object], sets: t.Sequence[Object] = (), server: str = TOKYO, name: str = "tokyo") -> str:
    return ", ".join(str(one) for one in targets.index(applications, sets, "argocd").of(server, name))


@pytest.mark.parametrize(
    ("destination", "registered", "expected"),
    [
        ({"server": TOKYO}, TOKYO, True),
        ({"server": f"{TOKYO}/"}, TOKYO, True),
        ({"server": "https://TOKYO.example.com:6443"}, TOKYO, True),
        ({"server": "https://tokyo.example.com"}, "https://tokyo.example.com:443/", True),
        ({"server": "https://tokyo.example.com"}, TOKYO, False),
        ({"name": "tokyo"}, TOKYO, True),
        ({"name": "Tokyo"}, TOKYO, False),
        ({"name": "seoul"}, TOKYO, False),
        ({"name": "in-cluster"}, "https://kubernetes.default.svc", True),
        ({"name": "in-cluster"}, TOKYO, False),
        ({}, TOKYO, False),
        ({"server": ""}, "", False),
    ],
)
def test_an_application_targets_by_server_or_name(destination: Object, registered: str, expected: bool) -> None:
    assert bool(found([application("web", destination)], server=registered)) is expected


def test_one_that_gives_both_server_and_name_counts_once() -> None:
    assert found([application("web", {"server": TOKYO, "name": "tokyo"})]) == "web"


def test_nothing_targets_a_cluster_without_server_and_name() -> None:
    assert found([application("web", {})], server="", name="") == ""
    anything = application_set("services", {"name": "{{ .cluster | lower }}"}, elements({"cluster": "", "region": ""}))
    assert found([], [anything], server="", name="") == ""


def test_namespaces_are_said_where_they_are_not_argo_cds_own() -> None:
    there = [application("web", {"name": "tokyo"}, namespace="team-a"), application("db", {"name": "tokyo"})]
    assert found(there) == "db, team-a/web"


@pytest.mark.parametrize(
    ("finalizer", "cascade"),
    [
        (FINALIZER, True),
        (f"{FINALIZER}/background", True),
        (f"{FINALIZER}/foreground", True),
        ("post-delete-finalizer.argocd.argoproj.io", False),
        ("my-resources-finalizer.argocd.argoproj.io", False),
    ],
)
def test_the_finalizer_that_deletes_what_was_deployed(finalizer: str, cascade: bool) -> None:
    all_of_them = targets.index([application("web", {"name": "tokyo"}, finalizers=[finalizer])], [], "argocd")
    assert all_of_them.of(TOKYO, "tokyo")[0].cascade is cascade


def elements(*values: t.Any) -> Object:
    return {"list": {"elements": list(values)}}


NAME = {"name": "{{ .cluster }}"}
NESTED = {"matrix": {"generators": [{"git": {}}, elements({"cluster": "tokyo"})]}}


@pytest.mark.parametrize(
    ("destination", "generators", "expected"),
    [
        ({"server": TOKYO}, [{"git": {}}], {("server", TOKYO)}),
        ({"name": "tokyo"}, [], {("name", "tokyo")}),
        (NAME, [elements({"cluster": "tokyo"}, {"cluster": "seoul"})], {("name", "tokyo"), ("name", "seoul")}),
        ({"name": "{{cluster}}"}, [elements({"cluster": "tokyo"})], {("name", "tokyo")}),
        ({"server": "{{ .at.url }}"}, [elements({"at": {"url": TOKYO}})], {("server", TOKYO)}),
        ({"server": "https://{{- .a -}}:{{ .b }}"}, [elements({"a": "x", "b": "1"})], {("server", "https://x:1")}),
        # A value that the destination does not take is none of a cluster.
        (NAME, [elements({"region": "tokyo"})], set()),
        (NAME, [elements({"region": "tokyo", "cluster": "seoul"})], {("name", "seoul")}),
        # What is calculated may come to any of the values.
        ({"name": "{{ .cluster | lower }}"}, [elements({"a": ["t"]})], {("name", "t"), ("server", "t")}),
        # A generator's own template goes before that of the ApplicationSet.
        (
            {"name": "seoul"},
            [{"clusters": {"template": {"spec": {"destination": {"name": "tokyo"}}}}}],
            {("name", "seoul"), ("name", "tokyo")},
        ),
        (NAME, [NESTED], {("name", "tokyo")}),
        (NAME, [{"merge": {"generators": [NESTED]}}], {("name", "tokyo")}),
        # The base of a merge says which there are, the others only add to them.
        (NAME, [{"merge": {"generators": [{"clusters": {}}, elements({"cluster": "tokyo"})]}}], set()),
        (NAME, [{"clusters": {}}], set()),
        (NAME, [elements("tokyo", 3, None, {"cluster": 5})], set()),
    ],
)
def test_the_clusters_that_an_application_set_names(
    destination: Object, generators: list[Object], expected: set[tuple[str, str]]
) -> None:
    assert destinations(application_set("services", destination, *generators)) == expected


PATCH = """
{{- if eq .name "tokyo" }}
spec: {destination: {server: "https://TOKYO.example.com:6443/"}}
{{- end }}
"""


@pytest.mark.parametrize(
    ("text", "server", "name", "named"),
    [
        (PATCH, TOKYO, "anything", True),
        (PATCH, "https://tokyo.example.com", "anything", False),
        (PATCH, "https://elsewhere", "tokyo", True),
        (PATCH, "https://elsewhere", "Tokyo", False),
        ("spec: {destination: {name: tokyo-2}}", TOKYO, "tokyo", False),
        ("- {cluster: eu.tokyo}", TOKYO, "tokyo", False),
        ("- cluster: tokyo", TOKYO, "tokyo", True),
        ("tokyo", TOKYO, "tokyo", True),
        ("- {cluster: 'me@tokyo (old)'}", "https://elsewhere", "me@tokyo (old)", True),
        ("[https://[::1]:443, https://b]", "https://[::1]", "x", True),
        ("[https://[::1]:443, https://b]", "https://b", "x", True),
        ('{"url": "https://b"}', "https://b", "x", True),
        ("server: HTTPS://b", "https://b", "x", True),
        ('name: "in-cluster"', "https://kubernetes.default.svc", "", True),
        ("server: https://kubernetes.default.svc", "https://kubernetes.default.svc", "", True),
        ("server: https://{{ .host }}:6443", TOKYO, "", False),
        ("[arn:aws:eks:eu-west-1:111122223333:cluster/a]", "arn:aws:eks:eu-west-1:111122223333:cluster/a", "x", True),
        (3, TOKYO, "tokyo", False),
        (None, TOKYO, "tokyo", False),
    ],
)
def test_who_is_named_in_what_is_not_yaml_yet(text: t.Any, server: str, name: str, named: bool) -> None:
    there = {"list": {"elementsYaml": text}}
    sets = [application_set("services", {"name": "{{ .cluster }}"}) for _number in range(4)]
    sets[0]["spec"]["templatePatch"] = text
    sets[1]["spec"]["generators"] = [there]
    sets[2]["spec"]["generators"] = [{"matrix": {"generators": [{"git": {}}, there]}}]
    sets[3]["spec"]["generators"] = [{"merge": {"generators": [{"matrix": {"generators": [there]}}]}}]
    for one in sets:
        assert found([], [one], server=server, name=name) == ("services" if named else "")


def test_a_patch_of_the_destination_may_take_any_value() -> None:
    one = application_set("services", {"name": "seoul"}, elements({"region": "tokyo"}), {"git": {}})
    assert found([], [one]) == ""
    one["spec"]["templatePatch"] = "spec: {destination: {name: '{{ .region }}'}}"
    assert found([], [one]) == "services"
    # The Application that it has there stands for it, as ever.
    assert found([application("web", {"name": "tokyo"}, "services")], [one]) == "web"
    one["spec"]["templatePatch"] = "spec: {project: '{{ .region }}'}"
    assert found([], [one]) == ""


def test_an_application_set_counts_until_it_has_an_application_there() -> None:
    services = application_set("services", NAME, elements({"cluster": "tokyo"}))
    elsewhere = application("web", {"name": "seoul"}, "services")
    assert found([elsewhere], [services]) == "services"
    there = application("web-tokyo", {"name": "tokyo"}, "services")
    assert found([elsewhere, there], [services]) == "web-tokyo"
    # One of the same name in another namespace is another one.
    abroad = application("web-tokyo", {"name": "tokyo"}, "services", namespace="team-a")
    assert found([abroad], [services]) == "team-a/web-tokyo, services"


def test_words() -> None:
    plain = [application(name, {"name": "tokyo"}) for name in ("b", "a")]
    made = [application(name, {"name": "tokyo"}, "services") for name in ("web", "db")]
    other = application_set("later", {"name": "tokyo"})

    def say(applications: list[Object], sets: t.Sequence[Object] = (), **options: int) -> str:
        return targets.words(targets.index(applications, sets, "argocd").of(TOKYO, "tokyo"), **options)

    assert say(plain[:1]) == "Application b"
    assert say(plain) == "Applications a, b"
    assert say(made) == "Applications db, web (generated by ApplicationSet services)"
    assert say(plain + made) == "Applications a, b; db, web (generated by ApplicationSet services)"
    assert say([], [other]) == "ApplicationSet later"
    assert say(plain, [other]) == "Applications a, b and ApplicationSet later"
    many = [application(f"{number:02}", {"name": "tokyo"}) for number in range(12)]
    assert say(many) == "Applications 00, 01, 02, 03, 04 and 7 more"
    assert say(many, [other], shown=1) == "Applications 00, ApplicationSet later and 11 more"
    sets = [application_set(name, {"name": "tokyo"}) for name in ("x", "y", "z")]
    assert say([], sets, shown=1) == "ApplicationSets x and 2 more"


def test_the_consequence_is_said_for_each() -> None:
    with_it = application("web", {"name": "tokyo"}, finalizers=[FINALIZER])
    without = application("db", {"name": "tokyo"})

    def say(*applications: Object) -> str:
        return targets.consequence(targets.index(applications, [], "argocd").of(TOKYO, "tokyo"))

    assert say(with_it).startswith("What it deployed is deleted too, since it has")
    assert say(without).startswith("What it deployed stays, since it lacks")
    assert say(with_it, {**with_it, "metadata": {**with_it["metadata"], "name": "b"}}).startswith(
        "What they deployed is deleted too, since they have"
    )
    assert say(with_it, without).startswith("What Application web deployed is deleted too")
    assert "what Application db deployed stays" in say(with_it, without)
    assert say() == ""


def test_a_thousand_clusters_and_ten_thousand_applications_take_no_long_time() -> None:
    applications = [
        application(f"app-{number}", {"server": f"https://spoke-{number % 1000}.example.com:6443/"})
        for number in range(10000)
    ]
    start = time.process_time()
    everything = targets.index(applications, [], "argocd")
    counts = {len(everything.of(f"https://spoke-{n}.example.com:6443", f"spoke-{n}")) for n in range(1000)}
    assert counts == {10}
    # A comparison of each with each would be ten million, some ten seconds.
    assert time.process_time() - start < 2


class FakeKube:
    """Applications by path, of which some stay or come back when they are deleted."""

    pages = Kube.pages

    def __init__(self, *items: Object) -> None:
        self.items = {self.path(item): item for item in items}
        self.requests: list[tuple[str, str]] = []
        self.forbidden: tuple[str, ...] = ()
        self.status = 403
        self.missing = False
        self.lists: list[Object] = []
        self.keeps: tuple[str, ...] = ()
        self.recreated: Object | None = None
        self.reads = 0

    @staticmethod
    def path(item: Object) -> str:
        metadata = item["metadata"]
        return f"/apis/argoproj.io/v1alpha1/namespaces/{metadata['namespace']}/applications/{metadata['name']}"

    def request(self, method: str, path: str, body: t.Any = None, *, query: t.Any = None) -> Object:
        self.requests.append((method, path))
        if path in self.forbidden:
            raise ApiError("no", self.status)
        if self.missing:
            raise ApiError("no", 404)
        if method == "GET":
            return self.lists[int(query.get("continue") or 0)] if path.endswith("/applications") else {"items": []}
        live = self.items.get(path)
        if not live:
            raise ApiError("gone", 404)
        assert body["propagationPolicy"] == "Background"
        if body["preconditions"]["uid"] != live["metadata"]["uid"]:
            raise ApiError("another", 409)
        if self.recreated:
            self.items[path] = self.recreated
        elif live["metadata"]["name"] not in self.keeps:
            del self.items[path]
        return {}

    def get_path(self, path: str) -> Object | None:
        found = self.items.get(path)
        if self.reads:
            self.reads -= 1
            if not self.reads:
                self.items.clear()
        return found


def kube(fake: FakeKube) -> Kube:
    return t.cast("Kube", fake)


ALL = "/apis/argoproj.io/v1alpha1/applications"
SETS = "/apis/argoproj.io/v1alpha1/applicationsets"
OWN = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
WEB, DB = application("web", {"name": "tokyo"}), application("db", {"name": "tokyo"})


def test_reading_takes_all_pages_of_all_namespaces() -> None:
    fake = FakeKube()
    fake.lists = [{"items": [WEB], "metadata": {"continue": "1"}}, {"items": [DB], "metadata": {}}]
    read = targets.read(kube(fake), "argocd")
    assert [str(one) for one in read.of(TOKYO, "tokyo")] == ["db", "web"]
    assert read.everywhere
    assert [path for _method, path in fake.requests] == [
        ALL,
        ALL,
        SETS,
    ]


def test_where_other_namespaces_are_forbidden_argo_cds_own_is_read() -> None:
    fake = FakeKube()
    fake.lists = [{"items": [WEB]}]
    fake.forbidden = (ALL,)
    read = targets.read(kube(fake), "argocd")
    assert [str(one) for one in read.of(TOKYO, "tokyo")] == ["web"]
    assert not read.everywhere
    for fake.forbidden, fake.status in (((ALL, OWN), 403), ((ALL,), 500)):
        with pytest.raises(ApiError):
            targets.read(kube(fake), "argocd")


def test_without_argo_cds_definitions_nothing_targets_anything() -> None:
    fake = FakeKube()
    fake.missing = True
    assert targets.read(kube(fake), "argocd").of(TOKYO, "tokyo") == ()


def of_tokyo(*applications: Object, sets: t.Sequence[Object] = ()) -> tuple[targets.Target, ...]:
    return targets.index(applications, sets, "argocd").of(TOKYO, "tokyo")


def test_removal_deletes_applications_and_leaves_application_sets() -> None:
    fake, lines = FakeKube(WEB, DB), list[str]()
    wanted = of_tokyo(WEB, DB, sets=[application_set("later", {"name": "tokyo"})])
    assert len(wanted) == 3
    removed = targets.remove(kube(fake), wanted * 2, 5, lines.append)
    assert [str(one) for one in removed] == ["db", "web"]
    assert fake.items == {}
    assert sorted(fake.requests) == [("DELETE", fake.path(DB)), ("DELETE", fake.path(WEB))]
    assert lines == [
        f"removing Applications db, web. What they deployed stays, since they lack Argo CD's finalizer {FINALIZER}."
    ]
    assert targets.remove(kube(fake), (), 5, lines.append) == ()


def test_a_removal_that_soon_ends_is_not_talked_about() -> None:
    fake, lines = FakeKube(WEB), list[str]()
    fake.keeps, fake.reads = ("web",), 3
    assert len(targets.remove(kube(fake), of_tokyo(WEB), 5, lines.append)) == 1
    assert len(lines) == 1


def test_what_comes_back_counts_as_gone() -> None:
    fake = FakeKube(WEB)
    again = {**WEB, "metadata": {**WEB["metadata"], "uid": "another"}}
    fake.recreated = again
    assert len(targets.remove(kube(fake), of_tokyo(WEB), 5, print)) == 1
    # And what came back before is not deleted in its place.
    assert targets.remove(kube(fake), of_tokyo(WEB), 5, print) == ()
    assert fake.items[fake.path(WEB)] is again


def test_a_removal_that_does_not_end_says_what_holds_it() -> None:
    stuck = application("web", {"name": "tokyo"}, finalizers=[FINALIZER])
    stuck["status"] = {"conditions": [{"type": "DeletionError", "message": "dial tcp: refused"}]}
    fake, lines = FakeKube(stuck, DB), list[str]()
    fake.keeps = ("web",)
    with pytest.raises(HubspokeError) as failure:
        targets.remove(kube(fake), of_tokyo(stuck, DB), 1.5, lines.append)
    text = str(failure.value)
    assert text.startswith("Still there after 2 s: Application web (DeletionError: dial tcp: refused).")
    assert FINALIZER in text
    assert "what they deployed stays" in text
    assert lines[1:] == ["waiting until Argo CD has removed Application web"]
    fake = FakeKube(DB)
    fake.keeps = ("db",)
    with pytest.raises(HubspokeError, match="finalizers that are not done"):
        targets.remove(kube(fake), of_tokyo(DB), 0, lines.append)


class _Forgetful:
    """A hub whose ApplicationSet lets go of its Application when it has been asked twice."""

    def __init__(self, patience: int) -> None:
        self.asked: list[str] = []
        self._patience = patience

    def get_path(self, _path: str) -> dict[str, t.Any] | None:
        return {"metadata": {}} if len(self.asked) < self._patience else None

    def merge(self, path: str, body: dict[str, t.Any]) -> None:
        assert body["metadata"]["annotations"] == {"argocd.argoproj.io/application-set-refresh": "true"}
        self.asked.append(path)


def test_an_application_set_is_asked_until_it_lets_go() -> None:
    generated = targets.Target("Application", "argocd", "web-tokyo", generated_by="web")
    plain = targets.Target("Application", "argocd", "db")
    hub = _Forgetful(2)
    assert targets.let_go(t.cast("t.Any", hub), [generated, plain], 10) == ()
    assert hub.asked == ["/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets/web"] * 2
    assert targets.let_go(t.cast("t.Any", _Forgetful(99)), [generated, plain], 0) == (generated,)

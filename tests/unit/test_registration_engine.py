# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cluster, from nothing to removed: what is written where, in which order, and what happens when a part fails."""

from __future__ import annotations

import typing as t

import pytest
from unit.registration_world import (
    BINDING,
    LOCK,
    ROLE,
    RULES,
    SECRETS,
    SYSTEM,
    UNLOCK,
    Server,
    World,
    encoded,
    refusal,
)

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Identity

TOKYO = "https://tokyo:6443"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
MADE = ["tokyo POST clusterroles", "tokyo POST serviceaccounts", "tokyo POST clusterrolebindings"]


# Where it is


CONFIG = {
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": TOKYO,
                "certificate-authority-data": encoded("CA"),
                "tls-server-name": "name",
            },
        }
    ],
}
SPOKE = {"spoke": {"kubeconfig": CONFIG}}


@pytest.mark.parametrize(
    ("options", "connection"),
    [
        (SPOKE, Connection(TOKYO, "CA", "name")),
        ({**SPOKE, "ca_data": PEM, "server_name": "other"}, Connection(TOKYO, PEM, "other")),
        ({**SPOKE, "ca_data": "", "server_name": ""}, Connection(TOKYO)),
        ({**SPOKE, "server": "https://TOKYO:6443/"}, Connection("https://TOKYO:6443", "CA", "name")),
        # The name that this machine asks for belongs to the address that it uses.
        ({**SPOKE, "server": "https://elsewhere"}, Connection("https://elsewhere", "CA")),
        ({**SPOKE, "insecure": True}, Connection(TOKYO, "", "name", True)),
        # That this machine does not look at a certificate is no reason for Argo CD not to.
        ({"spoke": {"host": TOKYO, "api_key": "x", "validate_certs": False}}, Connection(TOKYO)),
        ({"server": TOKYO, "bearer_token": "x", "ca_data": PEM}, Connection(TOKYO, PEM)),
        ({"spoke": {"kubeconfig": "/nowhere"}, "spoke_present": False}, Connection("")),
        ({"server": "https://kubernetes.default.svc"}, Connection("https://kubernetes.default.svc")),
    ],
)
def test_how_argo_cd_is_to_connect(options: t.Any, connection: Connection) -> None:
    registrar = engine.Registrar(None, engine.Options(), lambda: None)
    assert registrar.locate(wanted({"name": "tokyo", **options}))[0] == connection


def test_an_address_of_this_machine_is_not_taken_from_a_kubeconfig(world: World) -> None:
    cluster = world.wanted(spoke={"host": "https://127.0.0.1:6443", "api_key": "admin"})
    assert "https://127.0.0.1:6443 means this machine" in world.error(cluster)
    world.spokes["127.0.0.1"] = world.spoke()
    assert world.one(cluster, hub_is_local=True).server == "https://127.0.0.1:6443"


# First registration


def test_a_token_is_proven_before_the_hub_knows_of_it(world: World) -> None:
    said = world.one(world.wanted(labels={"a": "b"}))
    assert (said.action, said.renewed, said.adopted) == ("created", "it is not registered yet", False)
    assert said.account_changes == [
        "ClusterRole argocd-manager-role: it is not there",
        "ServiceAccount kube-system/argocd-manager: it is not there",
        "ClusterRoleBinding argocd-manager-role-binding: it is not there",
    ]
    assert world.written == [LOCK, *MADE, "tokyo POST token", "probe", "hub PATCH secrets", UNLOCK]
    found = world.secrets["tokyo"]
    assert (found.server, found.owner, found.labels["a"]) == (TOKYO, "here", "b")
    (endpoint, identity, rights) = world.tried[0]
    assert (endpoint.server, identity, len(rights)) == (TOKYO, Identity(token=found.token), 1)
    assert found.expires
    assert said.expires == found.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    again = world.one(world.wanted(labels={"a": "b"}))
    assert (again.action, again.changed, world.events) == ("unchanged", False, ["probe"])


def test_a_check_predicts_and_writes_nothing(world: World) -> None:
    said = world.one(world.wanted(), check=True)
    assert world.written == []
    assert (said.action, said.expires, world.secrets) == ("created", None, {})
    done = world.one(world.wanted())
    assert (said.changes, said.account_changes) == (done.changes, done.account_changes)
    # An account that is there is no change, with or without a check.
    world.hub.items.pop(f"{SECRETS}/{done.secret}")
    assert [world.one(world.wanted(), check=here).account_changes for here in (True, False)] == [[], []]


def test_a_spoke_that_is_yet_to_be_made_is_predicted(world: World) -> None:
    there = {"server": TOKYO, "spoke": {"kubeconfig": "/nowhere"}, "spoke_present": False}
    said = world.one({"name": "tokyo", **there}, check=True)
    assert (said.action, said.expires, world.events) == ("created", None, [])
    world.one(world.wanted())
    assert not world.one({"name": "tokyo", **there}, check=True).changed


@pytest.mark.parametrize("kind", ["unauthenticated", "forbidden", "certificate"])
def test_a_token_that_does_not_work_is_not_written(world: World, kind: str) -> None:
    world.refuses = [refusal(kind)] * 999
    assert "Cluster tokyo: it is refused." in world.error(world.wanted())
    assert world.secrets == {}
    assert (len(world.tried) > 1) is (kind != "certificate")  # new rights take a moment to be known everywhere
    world.refuses = [refusal(kind)] * (kind != "certificate")
    world.one(world.wanted())


def test_a_rotation_that_fails_leaves_what_works(world: World) -> None:
    world.one(world.wanted())
    before = world.secrets["tokyo"]
    world.refuses = [refusal("forbidden")] * 999
    world.error(world.wanted(), rotate="always")
    assert world.secrets["tokyo"] == before
    world.refuses = []
    assert world.one(world.wanted(), rotate="always").renewed == "a new token was asked for"
    assert world.secrets["tokyo"].token != before.token


def test_without_a_probe_nothing_is_tried(world: World) -> None:
    again = world.wanted(probe="never")
    given = {"name": "other", "server": "https://other", "bearer_token": "x", "probe": "never"}
    for cluster in (again, again, {**again, "account": {"rules": RULES}}, given):
        world.one(cluster)
        assert world.tried == []


OTHER = {"name": "other", "server": "https://other", "probe": "on_change"}


@pytest.mark.parametrize(
    ("first", "then", "tried"),
    [
        ({}, {}, False),
        ({}, {"labels": {"environment": "prod"}, "project": "platform"}, False),
        ({}, {"server": "https://TOKYO:6443/"}, False),
        ({}, {"server": "https://tokyo-2:6443"}, True),
        ({}, {"server_name": "tokyo.internal"}, True),
        ({}, {"proxy_url": "http://proxy:3128"}, True),
        ({}, {"account": {"name": "other"}}, True),
        ({}, {"account": {"rules": RULES}}, True),
        ({"account": {"rules": RULES}}, {"account": {"rules": RULES}}, False),
        ({**OTHER, "bearer_token": "x"}, {}, False),
        ({**OTHER, "bearer_token": "x"}, {"bearer_token": "y"}, True),
        ({**OTHER, "aws": {"cluster_name": "other"}}, {}, False),
        ({**OTHER, "aws": {"cluster_name": "other"}}, {"aws": {"cluster_name": "another"}}, True),
    ],
)
def test_what_stays_as_it_is_is_not_tried_again_where_only_changes_are(
    world: World, first: dict[str, t.Any], then: dict[str, t.Any], tried: bool
) -> None:
    cluster = {**world.wanted(probe="on_change"), **first}
    if cluster["name"] == "other":
        del cluster["spoke"]
    world.one(cluster)
    assert world.tried
    world.one({**cluster, **then})
    assert bool(world.tried) is tried
    spokes = [event for event in world.events if not event.startswith("hub ")]
    assert bool(spokes) is tried


def test_where_only_changes_are_tried_a_revoked_token_stays(world: World) -> None:
    world.one(world.wanted(probe="on_change"))
    world.refuses = [refusal("unauthenticated")]
    assert world.one(world.wanted(probe="on_change")).action == "unchanged"
    assert world.one(world.wanted()).renewed == "its token is not accepted any more"


@pytest.mark.parametrize(("probe", "seen"), [("always", True), ("on_change", False), ("never", True)])
def test_rights_that_were_given_are_compared_unless_the_hub_alone_is_asked(
    world: World, probe: str, seen: bool
) -> None:
    cluster = world.wanted(probe=probe, account={"rules": RULES})
    world.one(cluster)
    world.spoke().items[ROLE].update(rules=[])
    assert bool(world.one(cluster).account_changes) is seen
    assert world.tried == [] or probe == "always"


@pytest.mark.parametrize(("granted", "told"), [(None, False), (2592000 - 60, False), (2592000 - 61, True)])
def test_a_shorter_life_than_asked_for_is_told(world: World, granted: int | None, told: bool) -> None:
    world.spoke().granted = granted
    warnings = world.one(world.wanted()).warnings
    assert warnings == ([f"token_lifetime: 2592000 s asked for, {granted} s granted by the spoke"] if told else [])
    assert world.one(world.wanted()).changes == []


def test_the_hub_is_not_its_own_spoke(world: World) -> None:
    world.spokes["tokyo"] = world.hub
    assert "spoke is the hub itself." in world.error(world.wanted())
    assert world.events == ["hub as us"]
    world.spokes["tokyo"] = Server("tokyo", world.events)
    world.spokes["tokyo"].fails["GET", SYSTEM] = 403  # whoever may not look may still be allowed what is needed
    world.one(world.wanted())


def test_an_account_without_a_way_to_it(world: World) -> None:
    text = world.error({"name": "tokyo", "server": TOKYO, "spoke": {}})
    assert text.startswith("Cluster tokyo: it is not registered yet, and spoke is not given.")


# What is registered


@pytest.mark.parametrize(
    ("owner", "options", "refused"),
    [("", {}, False), ("here", {}, False), ("there", {}, True), ("there", {"take_over": True}, False)],
)
def test_whose_it_is(world: World, owner: str, options: t.Any, refused: bool) -> None:
    world.by_hand("tokyo", owner=owner, bearerToken="x")
    (said,) = world.run(world.wanted(), **options)
    assert (said.error is not None) is refused
    assert said.adopted is (owner == "")
    if said.error:
        assert said.error.message == "Cluster tokyo: owner is here, but Secret by-hand-tokyo is owned by there."
        assert world.events == []
    assert world.secrets["tokyo"].owner == ("there" if refused else "here")


def test_what_argo_cd_needs_no_token_for(world: World) -> None:
    arn = "arn:aws:eks:ap-northeast-1:111122223333:cluster/tokyo"
    for server in (arn, "https://kubernetes.default.svc"):
        said = world.one({"name": "x", "server": server, "spoke": {"kubeconfig": CONFIG}})
        assert (said.credential, said.account_changes) == ("none", [])
        assert world.written[1:2] == ["hub PATCH secrets"]
        world.hub.items.pop(f"{SECRETS}/{said.secret}")


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ({"bearer_token": "t"}, Identity(token="t")),
        ({"basic": {"username": "u", "password": "p"}}, Identity(username="u", password="p")),
        (
            {"client_certificate": {"certificate": PEM, "key": "-----BEGIN PRIVATE KEY-----"}},
            Identity(certificate=PEM, key="-----BEGIN PRIVATE KEY-----"),
        ),
    ],
)
def test_a_credential_of_the_users_is_tried_first(world: World, given: t.Any, identity: Identity) -> None:
    cluster = {"name": "x", "server": TOKYO, "proxy_url": "http://proxy:1", **given}
    world.refuses = [refusal("unauthenticated")]
    world.error(cluster)
    assert world.written == ["probe"]
    said = world.one(cluster)
    assert (world.written, said.notes) == (["probe", LOCK, "hub PATCH secrets", UNLOCK], [])
    endpoint, tried, _rights = world.tried[0]
    assert (tried, endpoint.proxy) == (identity, "http://proxy:1")


@pytest.mark.parametrize("given", [{"aws": {"cluster_name": "c"}}, {"exec": {"command": "c"}}])
def test_of_a_command_only_the_server_is_tried(world: World, given: t.Any) -> None:
    cluster = {"name": "x", "server": TOKYO, "insecure": True, **given}
    world.refuses = [refusal("certificate")]
    world.error(cluster)
    for kind in ("unauthenticated", "forbidden"):
        world.refuses = [refusal(kind)]
        (note,) = world.one(cluster).notes
        assert "was not tried from here" in note
    endpoint, identity, rights = world.tried[0]
    assert (identity, rights, endpoint.insecure) == (Identity(), (), True)


UNREACHABLE = refusal("timeout", "it takes too long.")


@pytest.mark.parametrize(
    ("server", "refuses", "via"),
    [
        ("https://elsewhere", [UNREACHABLE, None], [None, TOKYO]),
        ("https://elsewhere", [UNREACHABLE, refusal("certificate")], None),
        ("https://elsewhere", [refusal("certificate")], None),
        (f"{TOKYO}/", [UNREACHABLE], None),
    ],
)
def test_where_only_the_hub_reaches_it_it_is_tried_where_this_machine_does(
    world: World, server: str, refuses: t.Any, via: t.Any
) -> None:
    world.refuses = list(refuses)
    (said,) = world.run(world.wanted(server=server))
    assert len(world.tried) == len(refuses)
    assert (said.error is None) is (via is not None)
    if via:
        assert said.notes == [f"tried at {TOKYO}, since from here it takes too long"]
        assert [endpoint.via or None for endpoint, *_rest in world.tried] == via
        assert {endpoint.server for endpoint, *_rest in world.tried} == {server}


@pytest.mark.parametrize("kind", ["unauthenticated", "clock"])
def test_a_token_that_is_not_accepted_is_replaced(world: World, kind: str) -> None:
    world.one(world.wanted())
    world.refuses = [refusal(kind)]
    assert world.one(world.wanted()).renewed == "its token is not accepted any more"
    world.refuses = [refusal("certificate")]
    assert "it is refused" in world.error(world.wanted())


@pytest.mark.parametrize(
    ("first", "then", "refused", "change"),
    [
        # Rights that do not suffice any more.
        ({}, {}, True, lambda spoke: spoke.items.pop(BINDING)),
        # Rights of a list, of which not every single one is asked for.
        ({"account": {"rules": RULES}}, {}, False, lambda spoke: spoke.items[ROLE].update(rules=[])),
        # Other rights than at the last time.
        ({"account": {"rules": RULES}}, {"account": {}}, False, lambda spoke: None),
    ],
)
def test_an_account_is_put_right_and_proven(
    world: World, first: t.Any, then: t.Any, refused: bool, change: t.Callable[[Server], t.Any]
) -> None:
    world.one(world.wanted(**first))
    token = world.secrets["tokyo"].token
    change(world.spoke())
    outcomes = []
    for check in (True, False):
        world.refuses = [refusal("forbidden")] * refused
        outcomes.append(world.one(world.wanted(**(then or first)), check=check))
        assert bool(world.written[1:]) is not check
    said, done = outcomes
    assert len(done.account_changes) == 1
    assert (
        (said.action, said.account_changes) == (done.action, done.account_changes) == ("updated", said.account_changes)
    )
    assert done.after["account"] == done.account_changes
    assert world.written[:2] == ["probe", LOCK]
    assert world.written[3] == "probe"
    assert world.tried[1][1] == Identity(token=token)
    assert not world.one(world.wanted(**(then or first))).changed


# What is written on the hub


def test_somebody_elses_change_is_not_lost(world: World) -> None:
    world.one(world.wanted())
    path = f"{SECRETS}/{world.secrets['tokyo'].secret}"

    def meddle() -> None:
        live = world.hub.items[path]
        live["metadata"]["labels"]["theirs"] = "now"
        world.hub.put(path, live)

    world.hub.on["PATCH", "secrets"] = meddle
    world.one(world.wanted(labels={"ours": "now"}))
    assert world.written.count("hub PATCH secrets") == 2
    labels = world.secrets["tokyo"].labels
    assert (labels["ours"], labels["theirs"]) == ("now", "now")
    world.hub.fails["PATCH", "secrets"] = 403
    assert "no PATCH" in world.error(world.wanted(labels={"ours": "later"}))
    assert world.written.count("hub PATCH secrets") == 1


@pytest.mark.parametrize(
    ("registered", "server", "image", "asked"),
    [
        ("", TOKYO, "image", True),
        ("", TOKYO, "", False),
        (f"{TOKYO}/", TOKYO, "image", False),
        ("https://old", TOKYO, "image", True),
        ("", "https://kubernetes.default.svc", "image", False),
        ("", "arn:aws:eks:ap-northeast-1:111122223333:cluster/tokyo", "image", False),
    ],
)
def test_the_hub_tries_new_addresses_before_they_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch, registered: str, server: str, image: str, asked: bool
) -> None:
    if registered:
        world.by_hand("tokyo", registered, "here", bearerToken="x")
    if image:
        labels = {"app.kubernetes.io/name": "argocd-repo-server"}
        spec = {"template": {"spec": {"containers": [{"image": image}]}}}
        world.hub.put("/apis/apps/v1/namespaces/argocd/deployments/a", {"metadata": {"labels": labels}, "spec": spec})
        other = {"template": {"spec": {"containers": [{"image": "other"}]}}}
        world.hub.put("/apis/apps/v1/namespaces/argocd/deployments/0", {"metadata": {}, "spec": other})
    calls: list[t.Any] = []

    def ask(_hub: t.Any, _namespace: str, connection: Connection, *rest: t.Any) -> None:
        calls.append((connection.server, *rest, f"{server}" in {one.server for one in world.secrets.values()}))
        if len(calls) == 1:
            raise HubspokeError("the hub does not reach it.", "Correct it.")

    monkeypatch.setattr(engine.hub_probe, "probe", ask)
    cluster = {"name": "tokyo", "server": server, **({"bearer_token": "y"} if server == TOKYO else {})}
    (said,) = world.run(cluster, fleet={"probe_from_hub": bool(image)})
    assert (said.error is not None) is asked
    assert calls == ([(server, "image", 10.0, False)] if asked else [])
    assert world.written[-1] == UNLOCK or not world.written


def test_the_hub_is_not_asked_where_argo_cd_runs_on_this_machine(world: World) -> None:
    with pytest.raises(HubspokeError, match="probe_from_hub needs the image"):
        world.run(world.wanted(), fleet={"probe_from_hub": True})
    world.one(world.wanted(), fleet={"probe_from_hub": True}, hub_is_local=True)

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What git says in a Pod on the hub, and what the user is told."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from unit.registration_world import Server

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_hub_probe as hub_probe
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection

CONNECTION = Connection("https://spoke-control-plane:6443", ca="PEM")


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to access 'https://x/': The requested URL returned error: 403",
        "fatal: could not read Username for 'https://x': terminal prompts disabled",
        "fatal: repository 'https://x/reachable/' not found",
    ],
)
def test_an_answer_is_all_that_is_wanted(said: str) -> None:
    hub_probe.verdict(CONNECTION, said)


@pytest.mark.parametrize(
    ("said", "reason", "remedy"),
    [
        (
            "fatal: unable to access 'https://x/': Could not resolve host: x",
            "from the hub, https://spoke-control-plane:6443 cannot be used: "
            "unable to access 'https://x/': Could not resolve host: x.",
            "DNS",
        ),
        (
            "fatal: unable to access 'https://x/': SSL certificate problem: unable to get local issuer certificate",
            "SSL certificate problem",
            "ca_data",
        ),
        ("fatal: unable to access 'https://x/': server certificate verification failed", "verification", "ca_data"),
        ("fatal: unable to access 'https://x/': Failed to connect to x port 6443", "Failed to connect", "routes"),
        ("timed out\n", "timed out", "routes"),
        ("", "it said nothing", "routes"),
    ],
)
def test_everything_else_is_told(said: str, reason: str, remedy: str) -> None:
    with pytest.raises(HubspokeError) as caught:
        hub_probe.verdict(CONNECTION, said)
    assert reason in caught.value.message
    assert remedy in caught.value.remedy


def test_the_pod_has_no_credential_and_no_rights() -> None:
    spec = hub_probe.pod(CONNECTION, "argocd", "image", 5)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    (container,) = spec["containers"]
    assert {entry["name"] for entry in container["env"]} == {
        "CA",
        "HOST",
        "PORT",
        "NAME",
        "URL",
        "SECONDS_TO_WAIT",
        "GIT_TERMINAL_PROMPT",
        "HOME",
    }


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (Connection("https://a"), {"URL": "https://a:443/reachable", "HOST": "a", "PORT": "443", "CA": "", "NAME": ""}),
        (Connection("https://a:1/x", "PEM"), {"URL": "https://a:1/x/reachable", "PORT": "1", "CA": "PEM"}),
        (Connection("https://[::1]:1"), {"URL": "https://[::1]:1/reachable", "HOST": "::1"}),
        # The certificate's name in the address, and the address by its side.
        (Connection("https://a:1", server_name="b"), {"URL": "https://b:1/reachable", "HOST": "a", "NAME": "b"}),
        (Connection("https://a", insecure=True), {"GIT_SSL_NO_VERIFY": "1", "SECONDS_TO_WAIT": "1"}),
    ],
)
def test_it_asks_as_argo_cd_will(connection: Connection, expected: dict[str, str]) -> None:
    body = hub_probe.pod(connection, "argocd", "image", 0.5)
    (container,) = body["spec"]["containers"]
    said = {entry["name"]: entry["value"] for entry in container["env"]}
    assert {name: said[name] for name in expected} == expected


def test_the_pod_ends_by_itself() -> None:
    """Whoever asked may have been killed."""
    spec = hub_probe.pod(CONNECTION, "argocd", "image", 5)["spec"]
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"]) == ("Never", 95)
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"terminated": {"message": "The requested URL returned error: 401"}}, ""),
        ({"terminated": {"message": "warning: x\nfatal: first\nfatal: last\nusage"}}, "cannot be used: last."),
        ({"terminated": {"exitCode": 1}}, "it said nothing"),
        ({"waiting": {"reason": "ImagePullBackOff"}}, "did not run: ImagePullBackOff."),
        (None, "did not run: not scheduled."),
    ],
)
def test_the_pod_is_asked_and_removed(monkeypatch: pytest.MonkeyPatch, state: t.Any, message: str) -> None:
    events: list[str] = []
    hub = Server("hub", events)

    def run() -> None:
        (path,) = (path for path in hub.items if "/pods/" in path)
        statuses = [{"state": state}] if state else []
        hub.items[path]["status"] = {"containerStatuses": statuses}

    hub.on["GET", "/pods/"] = run
    monkeypatch.setattr(hub_probe, "_PATIENCE", 0.0)
    monkeypatch.setattr(hub_probe.time, "sleep", lambda _seconds: None)
    with pytest.raises(HubspokeError, match=message) if message else contextlib.nullcontext():
        hub_probe.probe(t.cast("t.Any", hub), "argocd", CONNECTION, "image", 0.05)
    assert [event.partition("-")[0] for event in events] == ["hub POST pods", "hub DELETE pods/hubspoke"]
    assert not [path for path in hub.items if "/pods/" in path]

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What git says in a Pod on the hub, and what the user is told."""

from __future__ import annotations

import pytest

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

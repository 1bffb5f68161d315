# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way to AWS: connection options, errors, tags, waiting."""

from __future__ import annotations

import datetime
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.exceptions
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _aws_wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import (
    CONNECTION_SPEC,
    Aws,
    Service,
    tag_changes,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError, aws_error
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_wait import Deadline, wait_until
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

from .eks_backend import refused

KEYS = {"access_key": "test", "secret_key": "test"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    """Nothing of this machine's own AWS, and no time to lose between attempts."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE", "REGION", "DEFAULT_REGION", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


def _params(**given: t.Any) -> dict[str, t.Any]:
    return ArgumentSpecValidator(CONNECTION_SPEC).validate(given).validated_parameters  # type: ignore[no-any-return]


class Throttling(BaseHTTPRequestHandler):
    """Refuses some requests before it answers one."""

    refusals = 0
    requests: t.ClassVar[list[str]] = []

    def do_GET(self) -> None:
        cls = type(self)
        cls.requests.append(self.headers["User-Agent"])
        throttled, cls.refusals = cls.refusals > 0, cls.refusals - 1
        self.send_response(429 if throttled else 200)
        if throttled:
            self.send_header("x-amzn-ErrorType", "ThrottlingException")
        self.end_headers()
        self.wfile.write(b'{"message": "Rate exceeded"}' if throttled else b'{"clusters": ["seoul"]}')

    def log_message(self, *args: t.Any) -> None:
        """Nothing of it belongs into the tests' output."""


@pytest.fixture
def server() -> t.Iterator[str]:
    Throttling.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Throttling) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("refusals", "config", "attempts"), [(5, None, 6), (1, {"retries": {"max_attempts": 2, "mode": "standard"}}, 2)]
)
def test_what_is_throttled_is_asked_again(
    server: str, refusals: int, config: dict[str, t.Any] | None, attempts: int
) -> None:
    Throttling.refusals = refusals
    aws = Aws(_params(region="ap-northeast-2", endpoint_url=server, aws_config=config, **KEYS))
    assert aws.service("eks").pages("list_clusters", "clusters", "") == ["seoul"]
    assert len(Throttling.requests) == attempts
    assert "hubspoke.bootstrap" in Throttling.requests[0]
    assert aws.with_calls({}, {"debug_botocore_endpoint_logs": True}) == {"resource_actions": ["eks:ListClusters"]}


def test_throttled_for_too_long(server: str) -> None:
    Throttling.refusals = 100
    eks = Aws(_params(region="ap-northeast-2", endpoint_url=server, **KEYS)).service("eks")
    with pytest.raises(AwsError, match=r"^It fails: ThrottlingException: Rate exceeded\. AWS still throttles"):
        eks.call("list_clusters", "It fails")


def test_the_endpoint_can_come_from_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Throttling.refusals = 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    aws = Aws(_params(**KEYS))
    assert aws.region == "ap-northeast-1"
    assert aws.service("eks").call("list_clusters", "") == {"clusters": ["seoul"]}


def test_nobody_answers() -> None:
    eks = Aws(_params(region="ap-northeast-2", endpoint_url="http://127.0.0.1:9", **KEYS)).service("eks")
    with pytest.raises(AwsError, match="EndpointConnectionError") as error:
        eks.call("list_clusters", "It fails")
    assert error.value.code == "EndpointConnectionError"
    assert isinstance(error.value.__cause__, botocore.exceptions.EndpointConnectionError)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "No AWS region is known. Set the option region"),
        ({"region": "x", "profile": "nobody"}, "ProfileNotFound"),
        ({"region": "x", "profile": "a", "access_key": "b"}, "Passing both a profile and access tokens"),
        ({"region": "x", "aws_config": {"no_such": 1}}, "cannot be addressed with these options: TypeError"),
        ({"region": "not a region", **KEYS}, "InvalidRegionError"),
    ],
)
def test_options_that_lead_nowhere(given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(HubspokeError, match=message):
        Aws(_params(**given)).service("eks")


def test_without_credentials() -> None:
    with pytest.raises(AwsError, match=r"NoCredentialsError: .*\. Give credentials by the usual chain"):
        Aws(_params(region="ap-northeast-2")).service("eks").call("list_clusters", "It fails")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (refused("ExpiredTokenException", "expired."), "It fails: ExpiredTokenException: expired. Renew them"),
        (refused("AccessDeniedException", "no"), "It fails: AccessDeniedException: no. Allow eks:CreateCluster to the"),
        (refused("UnrecognizedClientException", ""), "It fails: UnrecognizedClientException. Check the credentials"),
        (refused("ResourceLimitExceededException", "full"), "Have the quota raised in Service Quotas of tokyo"),
        (refused("Brandnew", "a\n  b"), "It fails: Brandnew: a b."),
        (ValueError("odd"), "It fails: ValueError: odd."),
    ],
)
def test_errors_say_what_to_do(error: Exception, text: str) -> None:
    assert text in str(aws_error(error, "It fails", "eks:CreateCluster", "tokyo"))


def test_answers_are_plain_data() -> None:
    class Client:
        @staticmethod
        def describe_it(**request: t.Any) -> dict[str, t.Any]:
            at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
            return {"it": {"at": [at], **request}, "ResponseMetadata": {}}

    answer = Service(Client(), "eks", "x").call("describe_it", "", name="a")
    assert answer == {"it": {"at": ["2026-01-01T00:00:00+00:00"], "name": "a"}}


@pytest.mark.parametrize(
    ("wanted", "purge", "to_set", "to_remove"),
    [
        (None, True, {}, []),
        ({"a": "1"}, True, {}, ["b"]),
        ({"a": "1"}, False, {}, []),
        ({"a": 2, "c": True, "d": None}, True, {"a": "2", "c": "True", "d": ""}, ["b"]),
        ({}, True, {}, ["a", "b"]),
    ],
)
def test_tags(wanted: t.Any, purge: bool, to_set: dict[str, str], to_remove: list[str]) -> None:
    assert tag_changes({"b": "2", "a": "1", "aws:own": "x"}, wanted, purge) == (to_set, to_remove)


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr(_aws_wait, "_sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_waiting_asks_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lines = Clock(monkeypatch), list[str]()

    def look() -> str:
        return "CREATING" if clock.now < 500 else "UPDATING" if clock.now < 700 else ""

    wait_until(look, "cluster seoul", Deadline(3600, clock), lines.append)
    assert clock.slept[0] == 0.25
    assert max(clock.slept) == 15
    assert len(clock.slept) < 90
    assert clock.now < 716
    assert lines[0] == "cluster seoul: CREATING"
    assert "cluster seoul: UPDATING" in lines
    assert 8 < len(lines) < 14


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(HubspokeError, match=r"The add-on x is still CREATING after 60 s\. AWS goes on with it"):
        wait_until(lambda: "CREATING", "add-on x", Deadline(60, clock), lambda line: None)
    assert 60 <= clock.now - 100 < 61

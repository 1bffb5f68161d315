# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike of AWS inside a test: botocore's own clients, no socket, no control plane, no delays."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import time
import typing as t

import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.signers import RequestSigner
from werkzeug.test import Client

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_server as server
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Settings, World

REGION = "ap-northeast-2"
ADDRESS = "http://127.0.0.1:24566"
ACCOUNT = "123456789012"


LOADER = botocore.loaders.create_loader()


class _Body(io.BytesIO):
    def stream(self, **_: t.Any) -> t.Iterator[bytes]:
        yield self.read()


def session(key: str = "rehearsal", secret: str = "rehearsal", token: str | None = None) -> botocore.session.Session:
    """A session of botocore's with those credentials."""
    made = botocore.session.Session()
    # Reading botocore's data takes longer than a test does.
    made.register_component("data_loader", LOADER)
    made.set_credentials(key, secret, token)
    return made


def bearer(cluster: str, region: str = REGION, signed: botocore.session.Session | None = None) -> str:
    """A token for a cluster, as `aws eks get-token` makes it."""
    signed = signed or session()
    client = signed.create_client("sts", region_name=region, endpoint_url=ADDRESS)
    signer = RequestSigner(
        client.meta.service_model.service_id, region, "sts", "v4", signed.get_credentials(), client.meta.events
    )
    request = {
        "method": "GET",
        "url": f"{ADDRESS}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=region, expires_in=60, operation_name="")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


class Lookalike:
    """One of its own for each test, but for moto, which there is one of in a process."""

    def __init__(self) -> None:
        self.world = World(Settings(delays=dict.fromkeys(Settings().delays, 0.0)))
        self._http = Client(server.application(self.world))
        self._role = ""
        self._clients: dict[tuple[str, str], t.Any] = {}
        self.control("POST", "reset")

    def control(self, method: str, path: str, body: t.Any = None, headers: t.Mapping[str, str] | None = None) -> t.Any:
        """Ask for something below /local-aws/; its answer, with its status where that is no success."""
        answer = self._http.open(f"/local-aws/{path}", method=method, json=body, headers=dict(headers or {}))
        parsed = json.loads(answer.get_data())
        return parsed if answer.status_code == 200 else (answer.status_code, parsed)

    def client(self, service: str, region: str = REGION, signed: botocore.session.Session | None = None) -> t.Any:
        """A client of botocore's, which tries once."""
        if signed is None and (service, region) in self._clients:
            return self._clients[service, region]
        once = Config(retries={"total_max_attempts": 1})
        made = (signed or session()).create_client(service, region_name=region, endpoint_url=ADDRESS, config=once)
        made.meta.events.register("before-send", self._send)
        if signed is None:
            self._clients[service, region] = made
        return made

    def _send(self, request: t.Any, **_: t.Any) -> AWSResponse:
        path = request.url.removeprefix(ADDRESS) or "/"
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        answer = self._http.open(path, method=request.method, headers=headers, data=body)
        return AWSResponse(request.url, answer.status_code, dict(answer.headers), _Body(answer.get_data()))

    # What most tests begin with

    def role(
        self, name: str, principal: t.Any, actions: t.Any = ("sts:AssumeRole", "sts:TagSession"), **more: t.Any
    ) -> str:
        """A role that admits a principal; its ARN."""
        statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions), **more}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return str(self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])

    def subnets(self) -> list[str]:
        """Ids of subnets in different zones."""
        return [item["SubnetId"] for item in self.client("ec2").describe_subnets()["Subnets"]]

    def cluster(self, name: str = "seoul", becomes: str = "ACTIVE", **given: t.Any) -> dict[str, t.Any]:
        """A cluster that is ACTIVE, or what it becomes instead."""
        eks = self.client("eks")
        if "roleArn" not in given:
            self._role = self._role or self.role("cluster", {"Service": "eks.amazonaws.com"})
        network = {"subnetIds": self.subnets()[:3]}
        asked = {"version": "1.34", "roleArn": self._role, "resourcesVpcConfig": network}
        asked["accessConfig"] = {"authenticationMode": "API"}
        eks.create_cluster(name=name, **{**asked, **given})
        return t.cast("dict[str, t.Any]", self.becomes(becomes, lambda: eks.describe_cluster(name=name)["cluster"]))

    @staticmethod
    def becomes(status: str, read: t.Callable[[], t.Any]) -> t.Any:
        """Wait until something has a status."""
        deadline = time.monotonic() + 10
        while (found := read())["status"] != status:
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found


@contextlib.contextmanager
def refused(code: str, text: str = "") -> t.Iterator[None]:
    """AWS refuses what is asked for."""
    with pytest.raises(ClientError) as caught:
        yield
    said = caught.value.response["Error"]
    assert said["Code"] == code, said
    assert text in said["Message"]

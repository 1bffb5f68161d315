# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A moto server on loopback for tests, with what moto lets pass refused as AWS refuses it.

As a program it takes the port as its argument.

What is asked of it is counted. Access keys that begin EXPIRED, INVALID or SKEWED (as if a clock were wrong), regions
that are not enabled, roles whose name begins with `closed`, and operations that are named as denied are refused; a part
of all requests is throttled. It has the two lists of versions that moto's EKS has not, logins to ECR that last, and no
capabilities.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
import time
import typing as t
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs

from moto.moto_server.threaded_moto_server import ThreadedMotoServer, create_backend_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.serving import WSGIRequestHandler, make_server

REGIONS = ("ap-northeast-1", "ap-northeast-2", "us-east-1")
ACCOUNT = "123456789012"
VERSIONS = {
    "1.31": "EXTENDED_SUPPORT",
    "1.32": "STANDARD_SUPPORT",
    "1.33": "STANDARD_SUPPORT",
    "1.34": "STANDARD_SUPPORT",
}
ADDONS = {
    "vpc-cni": ("v1.20.4-eksbuild.1", "v1.20.3-eksbuild.1"),
    "coredns": ("v1.12.4-eksbuild.1",),
    "kube-proxy": ("v1.34.1-eksbuild.2",),
    "aws-ebs-csi-driver": ("v1.53.0-eksbuild.1",),
    "eks-pod-identity-agent": ("v1.3.9-eksbuild.3",),
}
JSON, XML = "application/x-amz-json-1.1", "text/xml"

Start = t.Callable[..., t.Any]
Environ = dict[str, t.Any]


@dataclasses.dataclass
class Behaviour:
    """What it does otherwise than moto."""

    regions: tuple[str, ...] = REGIONS
    denied: tuple[str, ...] = ()
    throttled: float = 0.0
    protected: tuple[str, ...] = ()
    """Names of clusters whose deletion protection is on."""
    quotas: dict[str, int] = dataclasses.field(default_factory=lambda: {"L-F678F1CE": 5, "L-0263D0A3": 5})
    token_hours: float = 12.0
    """How long a login to ECR lives; moto's ended years ago."""
    calls: list[str] = dataclasses.field(default_factory=list)

    def refusal(self, key: str, region: str, service: str, operation: str) -> tuple[str, str] | None:
        """Code and message, None where there is nothing against the request."""
        unknown = {"sts": "InvalidClientTokenId", "ec2": "AuthFailure"}.get(service, "UnrecognizedClientException")
        if key.startswith("EXPIRED"):
            code = "ExpiredToken" if service in ("sts", "ec2") else "ExpiredTokenException"
            return code, "The security token included in the request is expired"
        if key.startswith("SKEWED"):
            return (
                "InvalidSignatureException",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            )
        if key.startswith("INVALID") or region not in self.regions:
            return unknown, "The security token included in the request is invalid."
        if operation in self.denied:
            return "AccessDeniedException", f"User is not authorized to perform: {operation}"
        if random.random() < self.throttled:
            return "ThrottlingException", "Rate exceeded"
        return None


class _Quiet(WSGIRequestHandler):
    def log_request(self, *arguments: t.Any) -> None:
        """What is asked is counted, not printed."""


class StandIn(ThreadedMotoServer):
    """The server; `address` is what AWS_ENDPOINT_URL is set to."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("127.0.0.1", port, verbose=False)
        self.behaviour = Behaviour()

    @property
    def address(self) -> str:
        host, port = self.get_host_and_port()
        return f"http://{host}:{port}"

    def _server_entry(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(self._ip_address, self._port, self._answer, True, request_handler=_Quiet)
        self._server_ready_event.set()
        self._server.serve_forever()

    def _answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        signed = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = _Again(body)
        operation, fields = _operation(environ, body)
        if not signed:
            if operation == "AssumeRoleWithWebIdentity" and ":role/closed" in fields.get("RoleArn", ""):
                return _refuse(start, "sts", "AccessDenied", f"Not authorized to perform sts:{operation}")
            return t.cast("Iterable[bytes]", self._moto(environ, start))
        key, region, service = signed.groups()
        self.behaviour.calls.append(f"{service}.{operation}")
        refused = self.behaviour.refusal(key, region, service, operation)
        if operation == "AssumeRole" and ":role/closed" in fields.get("RoleArn", ""):
            refused = "AccessDenied", f"User is not authorized to perform: sts:AssumeRole on {fields['RoleArn']}"
        if refused:
            return _refuse(start, service, *refused)
        more = self._more(service, operation, environ, body)
        if more is not None:
            return _send(start, "200 OK", JSON, json.dumps(more))
        if operation in (f"GET /clusters/{name}" for name in self.behaviour.protected):
            answer = json.loads(b"".join(self._moto(environ, lambda *_status: None)))
            answer["cluster"]["deletionProtection"] = True
            return _send(start, "200 OK", JSON, json.dumps(answer))
        return t.cast("Iterable[bytes]", self._moto(environ, start))

    def _more(self, service: str, operation: str, environ: Environ, body: bytes) -> t.Any:
        if operation == "GET /cluster-versions":
            return {"clusterVersions": [{"clusterVersion": v, "versionStatus": s} for v, s in VERSIONS.items()]}
        if operation == "GET /addons/supported-versions":
            wanted = parse_qs(environ.get("QUERY_STRING", "")).get("kubernetesVersion", ["1.34"])[0]
            addons = ADDONS if wanted in VERSIONS else {}
            versions = {name: [{"addonVersion": version} for version in known] for name, known in addons.items()}
            return {"addons": [{"addonName": name, "addonVersions": known} for name, known in versions.items()]}
        if re.fullmatch("GET /clusters/[^/]+/capabilities", operation):
            return {"capabilities": []}
        if operation == "GetServiceQuota":
            code = json.loads(body)["QuotaCode"]
            return {"Quota": {"QuotaCode": code, "Value": float(self.behaviour.quotas[code])}}
        if operation == "GetAuthorizationToken":
            token = json.loads(b"".join(self._moto(environ, lambda *_status: None)))
            token["authorizationData"][0]["expiresAt"] = time.time() + self.behaviour.token_hours * 3600
            return token
        return None


class _Again:
    """A body that was read already."""

    def __init__(self, body: bytes) -> None:
        self._left = body

    def read(self, size: int = -1) -> bytes:
        taken = self._left if size is None or size < 0 else self._left[:size]
        self._left = self._left[len(taken) :]
        return taken

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)

    def __iter__(self) -> Iterator[bytes]:
        yield self.read()


def _operation(environ: Environ, body: bytes) -> tuple[str, dict[str, str]]:
    """Its name, or method and path where it has none, and the fields of a form."""
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if target:
        return target, {}
    fields = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    return fields.get("Action") or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", fields


def _refuse(start: Start, service: str, code: str, message: str) -> Iterable[bytes]:
    if service == "ec2":
        body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        return _send(start, "403 Forbidden", XML, body)
    if service in ("sts", "iam"):
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        return _send(start, "403 Forbidden", XML, body)
    return _send(start, "403 Forbidden", JSON, json.dumps({"__type": code, "message": message}), code)


def _send(start: Start, status: str, kind: str, body: str, code: str = "") -> Iterable[bytes]:
    data = body.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(data)))]
    start(status, headers + ([("x-amzn-ErrorType", code)] if code else []))
    return [data]


if __name__ == "__main__":
    StandIn(int(sys.argv[1]))._server_entry()

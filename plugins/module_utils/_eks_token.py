# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A program that kubeconfigs of EKS clusters call: it prints a token out of the credentials of the AWS chain.

The token is a presigned request that asks STS who its sender is; EKS sends it and looks the answer up in the cluster's
access entries. It is a program of its own, started for each connection, so it imports nothing of this collection, and
botocore only where the credentials are not at hand.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import os
import sys
import typing as t
import urllib.parse

API = "client.authentication.k8s.io/v1beta1"
PREFIX = "k8s-aws-v1."
_SIGNED_FOR = 60
"""Seconds in which EKS has to see the request; the token itself lives a quarter of an hour from then on."""
_LIVES = datetime.timedelta(minutes=14)


class Credentials(t.NamedTuple):
    """What signs."""

    access_key: str
    secret_key: str
    token: str = ""


def endpoint(region: str, environment: t.Mapping[str, str]) -> str:
    """Address of the region's STS."""
    given = environment.get("AWS_ENDPOINT_URL_STS") or environment.get("AWS_ENDPOINT_URL")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return (given or f"https://sts.{region}.{suffix}").rstrip("/")


def token(credentials: Credentials, region: str, cluster: str, address: str, now: datetime.datetime) -> str:
    """The token.

    Signed here (AWS Signature Version 4, in the query), because botocore takes half a second to be read.
    """
    url = urllib.parse.urlsplit(address)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/sts/aws4_request"
    query = {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(_SIGNED_FOR),
        "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
        **({"X-Amz-Security-Token": credentials.token} if credentials.token else {}),
    }
    text = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote, safe="-_.~")
    headers = f"host:{url.netloc}\nx-k8s-aws-id:{cluster}\n"
    nothing = hashlib.sha256(b"").hexdigest()
    request = "\n".join(("GET", "/", text, headers, query["X-Amz-SignedHeaders"], nothing))
    to_sign = "\n".join((query["X-Amz-Algorithm"], stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed = f"{url.scheme}://{url.netloc}/?{text}&X-Amz-Signature={signature}"
    return PREFIX + base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")


def find(region: str, profile: str, role: str, environment: t.Mapping[str, str]) -> Credentials:
    """Credentials of the chain, or of a role that those may assume.

    :raises RuntimeError: there are none.
    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key and secret and not profile and not role:
        # The first of the chain.
        return Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", ""))
    import botocore.session  # noqa: PLC0415 (only where it is needed)

    session = botocore.session.Session(profile=profile or None)
    found = session.get_credentials()
    if found is None:
        raise RuntimeError("No AWS credentials were found. `aws sts get-caller-identity` shows what the chain finds.")
    if role:
        answer = session.create_client("sts", region_name=region).assume_role(RoleArn=role, RoleSessionName="hubspoke")
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")


def main(arguments: list[str]) -> int:
    """Print the credential that client-go and its likes expect."""
    parser = argparse.ArgumentParser(description="Token for an EKS cluster")
    parser.add_argument("--region", required=True)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--role", default="")
    parser.add_argument("--profile", default="")
    given = parser.parse_args(arguments)
    try:
        found = find(given.region, given.profile, given.role, os.environ)
        now = datetime.datetime.now(datetime.UTC)
        text = token(found, given.region, given.cluster, endpoint(given.region, os.environ), now)
    except Exception as error:  # whatever it is, one line for whoever called
        sys.stderr.write(f"No token for the EKS cluster {given.cluster}: {error}\n")
        return 1
    expires = (now + _LIVES).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"token": text, "expirationTimestamp": expires}
    sys.stdout.write(json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

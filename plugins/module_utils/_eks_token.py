# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A program that kubeconfigs of EKS clusters call: it prints a token out of the credentials of the AWS chain.

The token is a presigned request that asks STS who its sender is; EKS sends it and looks the answer up in the cluster's
access entries. It is a program of its own, started for each connection, so it imports nothing of this collection, and
no client of botocore where the credentials are at hand.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import os
import sys
import typing as t

try:
    import botocore.session
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials
except ImportError as error:
    # Tools that only read documentation may lack it; whoever needs a token is told.
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

API = "client.authentication.k8s.io/v1beta1"
PREFIX = "k8s-aws-v1."
_SIGNED_FOR = 60
"""Seconds in which EKS has to see the request; the token itself lives a quarter of an hour from then on."""
_LIVES = datetime.timedelta(minutes=14)


def endpoint(region: str, environment: t.Mapping[str, str]) -> str:
    """Address of the region's STS."""
    given = environment.get("AWS_ENDPOINT_URL_STS") or environment.get("AWS_ENDPOINT_URL")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return (given or f"https://sts.{region}.{suffix}").rstrip("/")


def token(credentials: t.Any, region: str, cluster: str, address: str) -> str:
    """The token.

    :arg credentials: Of botocore, frozen.
    """
    url = f"{address}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest(method="GET", url=url, headers={"x-k8s-aws-id": cluster})
    SigV4QueryAuth(credentials, "sts", region, expires=_SIGNED_FOR).add_auth(request)
    return PREFIX + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")


def credentials(region: str, profile: str, role: str) -> t.Any:
    """Of the chain, or of a role that those may assume."""
    session = botocore.session.Session(profile=profile or None)
    found = session.get_credentials()
    if found is None:
        raise SystemExit("No AWS credentials were found. `aws sts get-caller-identity` shows what the chain finds.")
    if not role:
        return found.get_frozen_credentials()
    answer = session.create_client("sts", region_name=region).assume_role(RoleArn=role, RoleSessionName="hubspoke")
    given = answer["Credentials"]
    return ReadOnlyCredentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def main(arguments: list[str]) -> int:
    """Print the credential that client-go and its likes expect."""
    parser = argparse.ArgumentParser(description="Token for an EKS cluster")
    parser.add_argument("--region", required=True)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--role", default="")
    parser.add_argument("--profile", default="")
    given = parser.parse_args(arguments)
    try:
        if IMPORT_ERROR:
            raise IMPORT_ERROR
        found = credentials(given.region, given.profile, given.role)
        text = token(found, given.region, given.cluster, endpoint(given.region, os.environ))
    except Exception as error:  # whatever it is, one line for whoever called
        sys.stderr.write(f"No token for the EKS cluster {given.cluster}: {error}\n")
        return 1
    expires = datetime.datetime.now(datetime.UTC) + _LIVES
    status = {"token": text, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    sys.stdout.write(json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who a token makes its bearer on a cluster: what an API server of the look-alike asks of its webhook."""

from __future__ import annotations

import json
import sys
import typing as t
from collections.abc import Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_tokens as tokens
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_app import Answer, as_json
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_rbac import group_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import (
    Caller,
    Cluster,
    Shape,
    World,
    now,
)

PATH = "authenticate"


def webhook(world: World) -> t.Callable[[str, list[str], Mapping[str, str], bytes], Answer]:
    """The webhook below /local-aws/authenticate/account/region/cluster."""

    def answer(method: str, rest: list[str], headers: Mapping[str, str], body: bytes) -> Answer:
        review = json.loads(body)
        cluster = world.clusters.get((rest[0], rest[1], rest[2])) if len(rest) == 3 else None
        status: Shape = {"authenticated": False}
        try:
            if cluster is None:
                raise tokens.BadToken("there is no such cluster")
            with world.lock:
                user = authenticate(cluster, str(review["spec"].get("token", "")), world.settings.secret)
            status = {"authenticated": True, "user": user}
        except (tokens.BadToken, AwsError) as error:
            status["error"] = str(error)
            # An administrator would find it in the authenticator's log.
            print(f"authenticator: {'/'.join(rest)}: access denied: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return as_json({"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status})

    return answer


def authenticate(cluster: Cluster, token: str, secret: str) -> Shape:
    """The user that a token stands for.

    :arg secret: Of those whose access key IAM did not make.
    :raises tokens.BadToken: the token lets nobody in.
    :raises AwsError: STS knows nobody of that key.
    """
    presigned = tokens.read(token, now())
    caller = moto.caller(presigned.key)
    if moto.session_token(caller) != presigned.session:
        raise tokens.BadToken(f"its session token is not that of {presigned.key}")
    tokens.check(presigned, cluster.name, moto.secret_of(caller) or secret)
    entry = cluster.entries.get(caller.principal)
    if entry is None:
        raise tokens.BadToken(f"{caller.principal} has no access entry")
    return user_of(entry, caller)


def user_of(entry: Shape, caller: Caller) -> Shape:
    """What Kubernetes is told of a principal that has an entry."""
    session = caller.arn.rsplit("/", 1)[-1] if ":assumed-role/" in caller.arn else ""
    name = entry["username"]
    for place, value in (
        ("{{SessionName}}", session.replace("@", "-")),
        ("{{SessionNameRaw}}", session),
        ("{{AccountID}}", caller.account),
        ("{{AccessKeyID}}", caller.key),
    ):
        name = name.replace(place, value)
    return {
        "username": name,
        "uid": f"aws-iam-authenticator:{caller.account}:{caller.user}",
        "groups": [*entry["kubernetesGroups"], group_of(caller.principal)],
        "extra": {"arn": [caller.arn], "canonicalArn": [caller.principal], "sessionName": [session]},
    }

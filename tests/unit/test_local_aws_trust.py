# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom the look-alike's roles admit: the policies alone, and through STS."""

from __future__ import annotations

import json
import typing as t

import pytest
from lookalike import ACCOUNT, REGION, Lookalike, refused, session

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_trust import (
    ADMITTED,
    BY_ACCOUNT,
    REFUSED,
    Subject,
    admits,
    allows,
)

ROLE = f"arn:aws:iam::{ACCOUNT}:role/path/hub"
SESSION = Subject(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/hub/me", role=ROLE, context={"sts:ExternalId": "x"})
PODS = Subject(service="pods.eks.amazonaws.com", context={"aws:RequestTag/kubernetes-namespace": "argocd"})
TOKEN = Subject(issuer="arn:aws:iam::1:oidc-provider/o", context={"o:sub": "system:serviceaccount:a:b", "o:aud": "sts"})


def statement(principal: t.Any, effect: str = "Allow", action: t.Any = "sts:AssumeRole", **condition: t.Any) -> t.Any:
    made = {"Effect": effect, "Principal": principal, "Action": action}
    return made | ({"Condition": condition} if condition else {})


@pytest.mark.parametrize(
    ("statements", "subject", "verdict"),
    [
        ([statement({"AWS": ROLE})], SESSION, ADMITTED),
        ([statement({"AWS": [f"arn:aws:iam::{ACCOUNT}:role/hub"]})], SESSION, REFUSED),
        ([statement({"AWS": SESSION.arn})], SESSION, ADMITTED),
        ([statement({"AWS": "*"})], SESSION, ADMITTED),
        ([statement("*")], SESSION, ADMITTED),
        ([statement({"AWS": ACCOUNT})], SESSION, BY_ACCOUNT),
        ([statement({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})], SESSION, BY_ACCOUNT),
        ([statement({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), statement({"AWS": ROLE})], SESSION, ADMITTED),
        ([statement({"AWS": "arn:aws:iam::999999999999:root"})], SESSION, REFUSED),
        ([statement({"AWS": ROLE}), statement("*", "Deny")], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, action="sts:TagSession")], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, action=["sts:TagSession", "sts:Assume*"])], SESSION, ADMITTED),
        ([statement({"Service": "pods.eks.amazonaws.com"})], PODS, ADMITTED),
        ([statement({"Service": ["eks.amazonaws.com"]})], PODS, REFUSED),
        ([statement({"Service": "pods.eks.amazonaws.com"})], SESSION, REFUSED),
        ([statement({"AWS": "*"})], PODS, REFUSED),
        ([statement({"Federated": TOKEN.issuer})], TOKEN, ADMITTED),
        ([statement({"AWS": ROLE}, StringEquals={"sts:externalid": "x"})], SESSION, ADMITTED),
        ([statement({"AWS": ROLE}, StringEquals={"sts:ExternalId": "y"})], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, StringEquals={"aws:other": "y"})], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, StringEqualsIfExists={"aws:other": "y"})], SESSION, ADMITTED),
        ([statement({"AWS": ROLE}, StringNotEquals={"sts:ExternalId": "x"})], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, Null={"sts:ExternalId": "true"})], SESSION, REFUSED),
        ([statement({"AWS": ROLE}, DateGreaterThan={"aws:CurrentTime": "2020"})], SESSION, REFUSED),
        ([statement({"Federated": TOKEN.issuer}, StringLike={"o:sub": "system:serviceaccount:a:*"})], TOKEN, ADMITTED),
        ([statement({"Federated": TOKEN.issuer}, StringEquals={"o:sub": "system:serviceaccount:a:c"})], TOKEN, REFUSED),
        (statement({"AWS": ROLE}), SESSION, ADMITTED),
        ([], SESSION, REFUSED),
    ],
)
def test_a_trust_policy_admits(statements: t.Any, subject: Subject, verdict: str) -> None:
    assert admits({"Statement": statements}, "sts:AssumeRole", subject) == verdict


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [f"arn:aws:iam::{ACCOUNT}:role/*"]}], True),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::1:role/*"}], False),
        (
            [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": ROLE},
            ],
            False,
        ),
        ([], False),
    ],
)
def test_an_identity_is_allowed(statements: t.Any, verdict: bool) -> None:
    assert allows([{"Statement": statements}], "sts:AssumeRole", ROLE) is verdict


# Through STS


def policy(*statements: t.Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture
def aws() -> Lookalike:
    return Lookalike()


def taken(aws: Lookalike, role: str, signed: t.Any = None, **given: t.Any) -> t.Any:
    """A session of a role."""
    answer = aws.client("sts", signed=signed).assume_role(RoleArn=role, RoleSessionName="test", **given)["Credentials"]
    return session(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])


def arn(aws: Lookalike, signed: t.Any = None) -> str:
    return str(aws.client("sts", signed=signed).get_caller_identity()["Arn"])


def test_who_comes_with_the_environment_is_the_administrator(aws: Lookalike) -> None:
    assert arn(aws) == f"arn:aws:iam::{ACCOUNT}:user/rehearsal"


def test_a_role_admits_whom_it_names(aws: Lookalike) -> None:
    role = aws.role("hub", {"AWS": ACCOUNT})
    assert arn(aws, taken(aws, role)) == f"arn:aws:sts::{ACCOUNT}:assumed-role/hub/test"
    closed = aws.role("closed", {"Service": "ec2.amazonaws.com"})
    for wrong in (closed, f"arn:aws:iam::{ACCOUNT}:role/none"):
        with refused("AccessDenied", f"is not authorized to perform: sts:AssumeRole on resource: {wrong}"):
            taken(aws, wrong)


def test_a_chain_across_accounts_needs_both_sides(aws: Lookalike) -> None:
    hub = aws.role("hub", {"AWS": ACCOUNT})
    signed = taken(aws, hub)
    # The administrator of the other account, by a role that its own trust lets in.
    other = "arn:aws:iam::111122223333:role"
    admin = session(*_key_in_other_account())
    iam = aws.client("iam", signed=admin)
    iam.create_role(RoleName="spoke", AssumeRolePolicyDocument=policy(statement({"AWS": hub})))
    with refused("AccessDenied"):
        taken(aws, f"{other}/spoke", signed)
    allowed = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"{other}/spoke"})
    aws.client("iam").put_role_policy(RoleName="hub", PolicyName="a", PolicyDocument=allowed)
    assert arn(aws, taken(aws, f"{other}/spoke", signed)) == "arn:aws:sts::111122223333:assumed-role/spoke/test"
    with refused("ValidationError", "role chaining"):
        taken(aws, f"{other}/spoke", signed, DurationSeconds=7200)


def _key_in_other_account() -> tuple[str, str]:
    from moto.iam.models import iam_backends

    made = iam_backends["111122223333"]["aws"].create_temp_access_key()
    return made.access_key_id, made.secret_access_key


@pytest.mark.parametrize(
    ("service", "key", "code"),
    [
        ("sts", "EXPIRED1", "ExpiredToken"),
        ("sts", "INVALID1", "InvalidClientTokenId"),
        ("ec2", "EXPIRED1", "RequestExpired"),
        ("ec2", "INVALID1", "AuthFailure"),
        ("eks", "EXPIRED1", "ExpiredTokenException"),
        ("eks", "INVALID1", "UnrecognizedClientException"),
    ],
)
def test_credentials_that_are_not_good_are_refused_in_each_services_own_way(
    aws: Lookalike, service: str, key: str, code: str
) -> None:
    client = aws.client(service, signed=session(key, "x"))
    ask = {"sts": "get_caller_identity", "ec2": "describe_vpcs", "eks": "list_clusters"}[service]
    with refused(code):
        getattr(client, ask)()


# Pod Identity


def pod(aws: Lookalike, account: str = "argocd-server", token: str = "any") -> t.Any:
    return aws.control("GET", f"pod-identity/{REGION}/seoul/argocd/{account}", headers={"Authorization": token})


def test_a_service_account_gets_its_roles_credentials(aws: Lookalike) -> None:
    aws.cluster()
    own = {
        "StringEquals": {"aws:RequestTag/kubernetes-namespace": "argocd", "aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/*"},
    }
    untagged = {key: value for key, value in own.items() if key == "ArnLike"}
    role = aws.role("pods", {"Service": "pods.eks.amazonaws.com"}, ["sts:AssumeRole"], Condition=untagged)
    aws.role("open", {"AWS": role})
    eks = aws.client("eks")
    eks.create_pod_identity_association(
        clusterName="seoul", namespace="argocd", serviceAccount="argocd-server", roleArn=role
    )
    status, said = pod(aws)
    assert (status, said["code"]) == (403, "AccessDenied")
    assert "sts:TagSession" in said["message"]
    both = statement({"Service": "pods.eks.amazonaws.com"}, action=["sts:AssumeRole", "sts:TagSession"], **own)
    aws.client("iam").update_assume_role_policy(RoleName="pods", PolicyDocument=policy(both))
    found = pod(aws)
    signed = session(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert arn(aws, signed) == f"arn:aws:sts::{ACCOUNT}:assumed-role/pods/eks-seoul-argocd-server"
    assert arn(aws, taken(aws, f"arn:aws:iam::{ACCOUNT}:role/open", signed)).endswith("assumed-role/open/test")


def test_without_association_or_token_there_are_none(aws: Lookalike) -> None:
    aws.cluster()
    assert pod(aws)[0] == 404
    assert pod(aws, token="")[0] == 400
    assert aws.control("GET", f"pod-identity/{REGION}/tokyo/argocd/a", headers={"Authorization": "x"})[0] == 404


def test_a_target_role_is_taken_after_the_first(aws: Lookalike) -> None:
    aws.cluster()
    role = aws.role("pods", {"Service": "pods.eks.amazonaws.com"})
    expected = f"{REGION}/{ACCOUNT}/seoul/argocd/argocd-server"
    target = aws.role("target", {"AWS": role}, Condition={"StringEquals": {"sts:ExternalId": expected}})
    aws.client("eks").create_pod_identity_association(
        clusterName="seoul", namespace="argocd", serviceAccount="argocd-server", roleArn=role, targetRoleArn=target
    )
    found = pod(aws)
    signed = session(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert arn(aws, signed) == f"arn:aws:sts::{ACCOUNT}:assumed-role/target/eks-seoul-argocd-server"

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom the look-alike's API servers let in, and with which rights: the parts that need no API server."""

from __future__ import annotations

import base64
import datetime
import typing as t

import pytest
from lookalike import ACCOUNT, Lookalike, bearer, session

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_rbac as rbac
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_tokens as tokens

NOW = datetime.datetime.now(datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS"


def made_of(url: str) -> str:
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def url_of(token: str) -> str:
    text = token.removeprefix("k8s-aws-v1.")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def test_a_token_of_botocores_is_good_for_its_cluster_alone() -> None:
    found = tokens.read(bearer("seoul"), NOW)
    assert (found.key, found.session) == ("rehearsal", "")
    tokens.check(found, "seoul", "rehearsal")
    for cluster, secret in (("tokyo", "rehearsal"), ("seoul", "other")):
        with pytest.raises(tokens.BadToken, match="not signed for cluster"):
            tokens.check(found, cluster, secret)


def test_a_token_carries_its_session() -> None:
    found = tokens.read(bearer("seoul", signed=session("ASIAX", "secret", "a+/=b")), NOW)
    assert found.session == "a+/=b"
    tokens.check(found, "seoul", "secret")


@pytest.mark.parametrize(
    ("token", "later", "why"),
    [
        (lambda: "k8s-aws-v2.abc", 0, "does not begin"),
        (lambda: "k8s-aws-v1.\u00e9", 0, "base64url"),
        (lambda: made_of("http://x/?Action=AssumeRole"), 0, "no presigned GetCallerIdentity"),
        (lambda: made_of(url_of(bearer("seoul")).replace("%2Fsts%2F", "%2Fec2%2F")), 0, "not signed for STS"),
        (lambda: made_of(url_of(bearer("seoul")).replace("%3Bx-k8s-aws-id", "")), 0, "is not signed"),
        (lambda: bearer("seoul"), 16, "expired"),
        (lambda: bearer("seoul"), -6, "in the future"),
        (lambda: made_of(url_of(bearer("seoul")).replace("X-Amz-Date", "X-Amz-Day")), 0, "no date"),
    ],
)
def test_what_is_no_good_token_says_why(token: t.Callable[[], str], later: int, why: str) -> None:
    with pytest.raises(tokens.BadToken, match=why):
        tokens.read(token(), NOW + later * MINUTE)


# The webhook


@pytest.fixture
def aws() -> Lookalike:
    made = Lookalike()
    made.cluster()
    return made


def review(aws: Lookalike, token: str, cluster: str = "seoul") -> t.Any:
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    return aws.control("POST", f"authenticate/{ACCOUNT}/ap-northeast-2/{cluster}", asked)["status"]


def test_the_creator_is_let_in_and_nobody_else(aws: Lookalike) -> None:
    user = review(aws, bearer("seoul"))["user"]
    assert user["username"] == f"arn:aws:iam::{ACCOUNT}:user/rehearsal"
    assert user["groups"] == [rbac.group_of(user["username"])]
    assert review(aws, bearer("seoul", region="ap-northeast-1"))["authenticated"]
    for wrong in (bearer("tokyo"), bearer("seoul", signed=session("rehearsal", "guessed")), "nonsense"):
        assert not review(aws, wrong)["authenticated"]
    assert "no such cluster" in review(aws, bearer("tokyo"), "tokyo")["error"]


def test_a_roles_session_is_let_in_by_its_entry(aws: Lookalike, capsys: pytest.CaptureFixture[str]) -> None:
    role = aws.role("deployer", {"AWS": ACCOUNT})
    given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="me@x")["Credentials"]
    signed = session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert not review(aws, bearer("seoul", signed=signed))["authenticated"]
    assert f"{role} has no access entry" in capsys.readouterr().err
    eks = aws.client("eks")
    eks.create_access_entry(clusterName="seoul", principalArn=role, kubernetesGroups=["deployers"])
    user = review(aws, bearer("seoul", signed=signed))["user"]
    assert user["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me-x"
    assert user["groups"] == ["deployers", rbac.group_of(role)]
    assert user["extra"]["canonicalArn"] == [role]
    stolen = session(given["AccessKeyId"], given["SecretAccessKey"], "other")
    assert not review(aws, bearer("seoul", signed=stolen))["authenticated"]
    eks.delete_access_entry(clusterName="seoul", principalArn=role)
    assert not review(aws, bearer("seoul", signed=signed))["authenticated"]


def test_the_creator_may_choose_to_be_locked_out() -> None:
    aws = Lookalike()
    mode = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    aws.cluster(accessConfig=mode)
    assert not review(aws, bearer("seoul"))["authenticated"]


# Rights


def bindings(policies: t.Any, *namespaces: str) -> list[tuple[str, str, str]]:
    return [
        (item["kind"], item["metadata"].get("namespace", ""), item["roleRef"]["name"])
        for item in rbac.objects(policies, namespaces)
        if item["kind"] != "ClusterRole"
    ]


@pytest.mark.parametrize(
    ("policy", "scope", "found"),
    [
        ("ClusterAdminPolicy", {"type": "cluster"}, [("ClusterRoleBinding", "", "cluster-admin")]),
        ("AdminViewPolicy", {"type": "cluster"}, [("ClusterRoleBinding", "", "local-aws:admin-view")]),
        ("EditPolicy", {"type": "namespace", "namespaces": ["b", "none"]}, [("RoleBinding", "b", "edit")]),
        (
            "ViewPolicy",
            {"type": "namespace", "namespaces": ["team-*"]},
            [("RoleBinding", "team-x", "view"), ("RoleBinding", "team-y", "view")],
        ),
    ],
)
def test_policies_become_bindings(policy: str, scope: t.Any, found: t.Any) -> None:
    policies = {"arn": {f"{POLICY}{policy}": {"accessScope": scope}}}
    assert bindings(policies, "team-y", "b", "team-x") == found
    assert rbac.wants_namespaces(policies) == (scope["type"] == "namespace")


def test_every_binding_is_of_the_principals_own_group_and_has_a_place() -> None:
    policies = {"arn": {f"{POLICY}ViewPolicy": {"accessScope": {"type": "namespace", "namespaces": ["a"]}}}}
    (binding,) = [item for item in rbac.objects(policies, ["a"]) if item["kind"] == "RoleBinding"]
    assert binding["subjects"][0]["name"] == rbac.group_of("arn")
    assert rbac.path(binding).startswith("/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/local-aws:")
    assert len({rbac.path(item) for item in rbac.objects(policies, ["a"])}) == 4

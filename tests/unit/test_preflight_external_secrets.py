# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's look at what External Secrets is to have."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_external_secrets as preflight
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Host, Survey

ACCOUNT = {"namespace": "external-secrets", "service_account": "external-secrets-sa"}
SECRET = {
    "name": "shared-secrets",
    "namespace": "wealist-prod",
    "store": "aws-secrets-store",
    "extract": ["wealist/prod/shared"],
}
VALUES: dict[str, t.Any] = {
    "cluster_region": "ap-northeast-2",
    "external_secrets_namespace": "external-secrets",
    "external_secrets_service_account": "external-secrets-sa",
    "external_secrets_stores": [{"name": "aws-secrets-store"}],
    "external_secrets_external_secrets": [SECRET],
    "eks_cluster_pod_identities": [{**ACCOUNT, "policies": ["external-secrets"]}],
    "eks_cluster_secrets": ["wealist/*"],
}


def found(provider: str = "eks", **variables: t.Any) -> list[tuple[str, str, str]]:
    survey = Survey((Host("wealist", {**VALUES, **variables}, provider=provider),))
    findings = list(preflight.external_secrets(survey))
    assert all(finding.remedy and finding.hosts == ("wealist",) for finding in findings)
    return [(finding.verdict, finding.variable, finding.found) for finding in findings]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"eks_cluster_secrets": []},
        {"external_secrets_enabled": False, "external_secrets_stores": [{"name": "a", "auth": "static"}]},
        {"external_secrets_stores": [], "external_secrets_external_secrets": []},
        {"cluster_state": "adopted", "eks_cluster_pod_identities": []},
        {"provider": "kwok", "eks_cluster_pod_identities": []},
        {
            "external_secrets_stores": [{"name": "aws-secrets-store", "role": "arn:r"}],
            "eks_cluster_pod_identities": [],
        },
        {"eks_cluster_secrets": ["other/*"], "eks_cluster_pod_identities": [{**ACCOUNT, "role_arn": "arn:mine"}]},
    ],
)
def test_nothing_is_wrong(variables: dict[str, t.Any]) -> None:
    assert found(**variables) == []


def test_what_contradicts_itself() -> None:
    ((verdict, variable, text),) = found(external_secrets_stores=[{"name": "a", "auth": "static"}])
    assert (verdict, variable) == ("fail", "external_secrets_stores")
    assert "credentials needs" in text
    ((_verdict, _variable, text),) = found(provider="kwok", cluster_region="")
    assert "has no region" in text


def test_a_service_account_without_a_role() -> None:
    ((verdict, variable, text),) = found(eks_cluster_pod_identities=[])
    assert (verdict, variable) == ("warn", "eks_cluster_pod_identities")
    assert "external-secrets/external-secrets-sa has no role here, with which aws-secrets-store would read" in text


@pytest.mark.parametrize("fields", [{}, {"extract": [], "data": {"k": {"key": "wealist/prod/shared"}}}])
def test_a_secret_that_the_role_may_not_read(fields: dict[str, t.Any]) -> None:
    ((verdict, variable, text),) = found(
        external_secrets_external_secrets=[{**SECRET, **fields}], eks_cluster_secrets=["lionpay/*"]
    )
    assert (verdict, variable) == ("fail", "eks_cluster_secrets")
    assert "shared-secrets reads wealist/prod/shared, which" in text
    assert "(lionpay/*)" in text

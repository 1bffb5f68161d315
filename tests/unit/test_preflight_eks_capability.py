# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight of an Argo CD that AWS is to run."""

from __future__ import annotations

import typing as t

import pytest
from unit.preflight_cloud import ACCOUNT, Answers, Cloud, cluster, host, short
from unit.preflight_cloud import survey as cloud_survey

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_argocd import argocd
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_capability import capability, there
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_spokes import registration

Values = dict[str, t.Any]
MAPPINGS = [{"role": "ADMIN", "identities": [{"id": "1", "type": "SSO_GROUP"}]}]
GOOD: Values = {
    "argocd_provider": "eks_capability",
    "argocd_capability_name": "argocd",
    "argocd_capability_idc_instance": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
    "argocd_capability_role_mappings": MAPPINGS,
    "argocd_variant": "standard",
    "argocd_rbac": {},
}


def survey(values: Values, hub: str = "eks", spoke: str = "eks", options: Values | None = None) -> Survey:
    hosts = (Host("seoul", {**GOOD, **values}, provider=hub), Host("tokyo", options or {}, provider=spoke))
    return Survey(hosts, ("seoul",), {"roles": ["cluster_registration"]})


def found(values: Values, **more: t.Any) -> list[Finding]:
    return list(capability(survey(values, **more)))


def test_nothing_is_wrong() -> None:
    (finding,) = found({})
    assert (finding.verdict, finding.found) == ("ok", "Argo CD is run by AWS, as capability argocd")


def test_it_is_not_spoken_of_where_nobody_wants_it() -> None:
    assert found({"argocd_provider": "self_managed"}) == []


@pytest.mark.parametrize(
    ("values", "variable", "words"),
    [
        ({"argocd_capability_idc_instance": ""}, "argocd_capability_idc_instance", "is not given"),
        ({"argocd_capability_idc_instance": "ssoins-1"}, "argocd_capability_idc_instance", "'ssoins-1' is no ARN"),
        ({"argocd_capability_role_arn": "argocd"}, "argocd_capability_role_arn", "'argocd' is no ARN of a role"),
        ({"cluster_state": "adopted"}, "argocd_capability_role_arn", "no role is made"),
    ],
)
def test_what_aws_would_refuse_is_one_finding(values: Values, variable: str, words: str) -> None:
    (finding,) = found(values)
    assert (finding.verdict, finding.variable, finding.hosts) == ("fail", variable, ("seoul",))
    assert words in finding.found
    assert finding.remedy
    assert found({**values, "argocd_install": False})[0].verdict == "ok"


@pytest.mark.parametrize(
    ("hub", "spoke", "variable", "host"),
    [("kind", "eks", "argocd_provider", "seoul"), ("eks", "kind", "cluster_provider", "tokyo")],
)
def test_it_is_there_for_eks_only(hub: str, spoke: str, variable: str, host: str) -> None:
    (finding,) = found({}, hub=hub, spoke=spoke)
    assert (finding.verdict, finding.variable, finding.hosts) == ("fail", variable, (host,))


@pytest.mark.parametrize(
    "values",
    [
        {"argocd_capability_role_mappings": []},
        {"argocd_rbac": {"policy.default": "role:readonly"}},
        {"argocd_variant": "ha"},
        {"argocd_initial_admin_secret": "delete"},
        {"argocd_config": {"url": "https://argocd.example.com"}},
    ],
)
def test_what_has_no_effect_is_told(values: Values) -> None:
    warning, fine = found(values)
    assert (warning.verdict, warning.variable, fine.verdict) == ("warn", next(iter(values)), "ok")


def test_settings_that_aws_takes_over_are_not_spoken_of() -> None:
    keys = ("ui.bannercontent", "resource.exclusions", "resource.customizations.health.acme.io_Db", "helm.enable")
    (fine,) = found({"argocd_config": dict.fromkeys(keys, "x")})
    assert fine.verdict == "ok"
    warning, _ = found({"argocd_config": dict.fromkeys((*keys, "url", "resource.customizations.actions.x_Y"), "x")})
    assert warning.found.startswith("resource.customizations.actions.x_Y, url:")


def test_versions_are_nobodys_business() -> None:
    (finding,) = argocd(survey({"argocd_version": "v0.0.1"}))
    assert (finding.verdict, finding.found) == ("ok", "settings that do not contradict each other")


def test_clusters_have_no_credentials() -> None:
    (fine,) = registration(survey({}))
    assert fine.verdict == "ok"
    (wrong,) = registration(survey({}, options={"cluster_registration_options": {"credential": "token"}}))
    assert (wrong.verdict, wrong.hosts) == ("fail", ("tokyo",))
    assert "cannot be used with an ARN as server" in wrong.found


def running(name: str, role: str = "seoul-argocd-capability") -> Answers:
    """Answers of an AWS that runs Argo CD for the cluster, and ACK."""
    kinds = [{"capabilityName": "ack", "type": "ACK"}, {"capabilityName": name, "type": "ARGOCD"}]
    described = {"capabilityName": name, "roleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}
    return {"list_capabilities": {"capabilities": kinds}, "describe_capability": {"capability": described}}


BY_AWS = {"argocd_provider": "eks_capability"}


@pytest.mark.parametrize(
    ("answers", "values", "expected", "words"),
    [
        ({"list_capabilities": {"capabilities": []}}, {}, [], ""),
        (running("argocd"), BY_AWS, [], ""),
        (running("argocd"), {}, [("ok", "")], "argocd is deleted"),
        (running("cd"), BY_AWS, [("fail", "argocd_capability_name")], "already, as capability cd"),
        (running("cd"), {}, [("fail", "argocd_provider")], "as capability cd, which"),
        (running("argocd", "another"), {}, [("fail", "argocd_provider")], "as capability argocd, which"),
        (running("argocd"), {"cluster_state": "adopted"}, [("fail", "argocd_provider")], "AWS runs Argo CD too"),
        ({}, {}, [("warn", "argocd_provider")], "its capabilities"),
    ],
)
def test_a_capability_that_is_there(
    answers: Answers, values: Values, expected: list[tuple[str, str]], words: str
) -> None:
    cloud = Cloud(**cluster(), **answers)
    hub = host(argocd_capability_name="argocd", **values)
    found = list(there(cloud_survey(cloud, hub, host("tokyo"))))
    assert short(found) == expected
    assert all(words in finding.found for finding in found)
    assert cloud.asked.count("list_capabilities") == 1


def test_a_cluster_that_is_to_be_made_has_none() -> None:
    cloud = Cloud()
    assert list(there(cloud_survey(cloud, host(**BY_AWS)))) == []
    assert "list_capabilities" not in cloud.asked

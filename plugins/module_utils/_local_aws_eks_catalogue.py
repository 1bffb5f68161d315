# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What EKS offers in the look-alike: Kubernetes versions, add-ons, access policies."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import invalid
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Call, Operations, Shape

OPERATIONS = Operations()

DEFAULT_VERSION = "1.35"
# Version: released on EKS, end of standard support, end of extended support, patch, platform.
VERSIONS: dict[str, tuple[str, str, str, str, str]] = {
    "1.36": ("2026-08-12", "2027-10-12", "2028-10-12", "1.36.3", "eks.4"),
    "1.35": ("2026-01-28", "2027-03-27", "2028-03-27", "1.35.6", "eks.9"),
    "1.34": ("2025-10-02", "2026-12-02", "2027-12-02", "1.34.9", "eks.16"),
    "1.33": ("2025-05-29", "2026-07-29", "2027-07-29", "1.33.11", "eks.25"),
    "1.32": ("2025-01-23", "2026-03-23", "2027-03-23", "1.32.13", "eks.36"),
    "1.31": ("2024-09-26", "2025-11-26", "2026-11-26", "1.31.14", "eks.52"),
}

_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
POLICIES = {
    name: f"{_POLICY}{name}"
    for name in (
        "AmazonEKSClusterAdminPolicy",
        "AmazonEKSAdminPolicy",
        "AmazonEKSEditPolicy",
        "AmazonEKSViewPolicy",
        "AmazonEKSAdminViewPolicy",
        "AmazonEKSSecretReaderPolicy",
        "AmazonEKSACKPolicy",
        "AmazonEKSArgoCDPolicy",
        "AmazonEKSArgoCDClusterPolicy",
        "AmazonEKSKROPolicy",
    )
}

# Add-on: kind, namespace, its versions for each Kubernetes version (the first is the default), service account and the
# managed policy that this wants.
_ADDONS: dict[str, tuple[str, str, dict[str, tuple[str, ...]], str, str]] = {
    "vpc-cni": (
        "networking",
        "kube-system",
        {"*": ("v1.21.1-eksbuild.7", "v1.21.2-eksbuild.2", "v1.20.5-eksbuild.1")},
        "aws-node",
        "AmazonEKS_CNI_Policy",
    ),
    "coredns": (
        "networking",
        "kube-system",
        {
            "1.36": ("v1.14.2-eksbuild.4", "v1.14.3-eksbuild.1", "v1.13.2-eksbuild.7"),
            "1.35": ("v1.13.2-eksbuild.4", "v1.14.2-eksbuild.4", "v1.13.2-eksbuild.7"),
            "*": ("v1.12.4-eksbuild.10", "v1.13.2-eksbuild.7"),
        },
        "",
        "",
    ),
    "kube-proxy": (
        "networking",
        "kube-system",
        {
            "1.36": ("v1.36.1-eksbuild.3", "v1.36.3-eksbuild.2", "v1.35.3-eksbuild.5"),
            "1.35": ("v1.35.3-eksbuild.5", "v1.35.6-eksbuild.2", "v1.34.6-eksbuild.8"),
            "1.34": ("v1.34.6-eksbuild.8", "v1.34.9-eksbuild.2", "v1.33.10-eksbuild.9"),
            "1.33": ("v1.33.10-eksbuild.9", "v1.33.11-eksbuild.3", "v1.32.13-eksbuild.9"),
            "1.32": ("v1.32.13-eksbuild.9", "v1.31.14-eksbuild.9"),
            "1.31": ("v1.31.14-eksbuild.9",),
        },
        "",
        "",
    ),
    "aws-ebs-csi-driver": (
        "storage",
        "kube-system",
        {"*": ("v1.56.0-eksbuild.1", "v1.57.1-eksbuild.1", "v1.55.0-eksbuild.2")},
        "ebs-csi-controller-sa",
        "AmazonEBSCSIDriverPolicy",
    ),
    "eks-pod-identity-agent": (
        "security",
        "kube-system",
        {"*": ("v1.3.10-eksbuild.2", "v1.3.11-eksbuild.1")},
        "",
        "",
    ),
    "metrics-server": ("observability", "kube-system", {"*": ("v0.8.1-eksbuild.2", "v0.9.0-eksbuild.1")}, "", ""),
    "snapshot-controller": ("storage", "kube-system", {"*": ("v8.4.0-eksbuild.3",)}, "", ""),
    "aws-secrets-store-csi-driver-provider": (
        "security",
        "aws-secrets-manager",
        {"*": ("v2.1.1-eksbuild.1",)},
        "",
        "",
    ),
    "external-dns": (
        "networking",
        "external-dns",
        {"*": ("v0.20.0-eksbuild.3", "v0.21.0-eksbuild.1")},
        "external-dns",
        "AmazonRoute53FullAccess",
    ),
    "cert-manager": ("security", "cert-manager", {"*": ("v1.19.3-eksbuild.2",)}, "cert-manager", ""),
}


def check_version(version: str, **fields: t.Any) -> None:
    """:raises AwsError: EKS has no such version."""
    if version not in VERSIONS:
        raise invalid(f"unsupported Kubernetes version {version}", **fields)


def minor(version: str) -> int:
    """The second number of a version."""
    return int(version.split(".")[1])


def addon_versions(addon: str, kubernetes: str) -> tuple[str, ...]:
    """The versions of an add-on for a Kubernetes version, the default first; none where there is no such add-on."""
    versions = _ADDONS[addon][2] if addon in _ADDONS else {}
    return versions.get(kubernetes, versions.get("*", ()))


def addon_namespace(addon: str) -> str:
    """Where an add-on is."""
    return _ADDONS[addon][1]


def newest_first(versions: t.Iterable[str]) -> list[str]:
    """Versions in the order in which EKS lists them."""
    return sorted(set(versions), key=lambda text: [int(part) for part in _numbers(text)], reverse=True)


def _numbers(text: str) -> list[str]:
    return "".join(char if char.isdigit() else " " for char in text).split()


@OPERATIONS
def describe_addon_versions(call: Call) -> Shape:
    """What add-ons there are, and which of their versions go with which Kubernetes version."""
    wanted, kubernetes = call.params.get("addonName"), call.params.get("kubernetesVersion")
    names = [name for name in _ADDONS if wanted in (None, name)]
    types, owners = call.params.get("types"), call.params.get("owners")
    found = [
        {
            "addonName": name,
            "type": _ADDONS[name][0],
            "publisher": "eks",
            "owner": "aws",
            "defaultNamespace": addon_namespace(name),
            "addonVersions": _versions(name, [kubernetes] if kubernetes else list(VERSIONS)),
        }
        for name in names
        if (not types or _ADDONS[name][0] in types) and (not owners or "aws" in owners)
    ]
    return call.page("addons", [addon for addon in found if addon["addonVersions"]])


def _versions(addon: str, kubernetes: list[str]) -> list[Shape]:
    known = [version for version in kubernetes if version in VERSIONS]
    offered = {version: addon_versions(addon, version) for version in known}
    return [
        {
            "addonVersion": version,
            "architecture": ["amd64", "arm64"],
            "computeTypes": ["ec2", "auto", "hybrid"],
            "compatibilities": [
                {"clusterVersion": cluster, "platformVersions": ["*"], "defaultVersion": versions[0] == version}
                for cluster, versions in offered.items()
                if version in versions
            ],
            "requiresConfiguration": False,
            "requiresIamPermissions": bool(_ADDONS[addon][4]),
        }
        for version in newest_first(version for versions in offered.values() for version in versions)
    ]


@OPERATIONS
def describe_addon_configuration(call: Call) -> Shape:
    """What an add-on can be configured with; the look-alike takes any JSON object."""
    addon, version = call.params["addonName"], call.params["addonVersion"]
    if not any(version in addon_versions(addon, kubernetes) for kubernetes in VERSIONS):
        raise invalid("Addon version specified is not supported", addonName=addon)
    _, _, _, account, policy = _ADDONS[addon]
    identity = {"serviceAccount": account, "recommendedManagedPolicies": [f"arn:aws:iam::aws:policy/{policy}"]}
    return {
        "addonName": addon,
        "addonVersion": version,
        "configurationSchema": '{"$schema":"http://json-schema.org/draft-06/schema#","type":"object"}',
        "podIdentityConfiguration": [identity] if account and policy else [],
    }


@OPERATIONS
def describe_cluster_versions(call: Call) -> Shape:
    """Which Kubernetes versions there are."""
    wanted, only_default = call.params.get("clusterVersions"), call.params.get("defaultOnly")
    status = call.params.get("versionStatus") or (call.params.get("status") or "").upper().replace("-", "_")
    listed = [_version(version) for version in VERSIONS]
    return call.page(
        "clusterVersions",
        [
            item
            for item in listed
            if (not wanted or item["clusterVersion"] in wanted)
            and (not only_default or item["defaultVersion"])
            and (not status or item["versionStatus"] == status)
            and (call.params.get("includeAll") or item["versionStatus"] != "UNSUPPORTED")
        ],
    )


def _version(version: str) -> Shape:
    released, standard, extended, patch, platform = VERSIONS[version]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    status = "STANDARD_SUPPORT" if today <= standard else "EXTENDED_SUPPORT" if today <= extended else "UNSUPPORTED"
    return {
        "clusterVersion": version,
        "clusterType": "eks",
        "defaultPlatformVersion": platform,
        "defaultVersion": version == DEFAULT_VERSION,
        "releaseDate": _date(released),
        "endOfStandardSupportDate": _date(standard),
        "endOfExtendedSupportDate": _date(extended),
        "status": status.lower().replace("_", "-"),
        "versionStatus": status,
        "kubernetesPatchVersion": patch,
    }


def _date(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


@OPERATIONS
def list_access_policies(call: Call) -> Shape:
    """What access policies there are."""
    return call.page("accessPolicies", [{"name": name, "arn": arn} for name, arn in POLICIES.items()])

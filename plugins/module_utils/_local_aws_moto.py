# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the look-alike of EKS and STS reads and makes of what moto keeps: roles, subnets, groups of machines."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_trust as trust
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    AwsError,
    expired,
    invalid,
    unknown_token,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Caller, now

try:
    from moto.autoscaling.models import autoscaling_backends
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.ec2.models import ec2_backends
    from moto.iam.models import get_account_id_from, iam_backends
    from moto.sts.models import sts_backends
except ImportError:
    pass  # tools import this file where nothing is installed; who starts the process looks first

Document = dict[str, t.Any]
_PARTITION = "aws"


@dataclass(frozen=True)
class Subnet:
    """Where machines can be."""

    id: str
    zone: str
    vpc: str
    cidr: str


# Who calls


def caller(key: str) -> Caller:
    """Who comes with an access key.

    :raises AwsError: nobody, or nobody any more.
    """
    if key.startswith("EXPIRED"):
        raise expired()
    if key.startswith("INVALID"):
        raise unknown_token()
    account = str(get_account_id_from(key))
    session = sts_backends[account][_PARTITION].get_assumed_role_from_access_key(key)
    if session:
        if session.expiration.replace(tzinfo=None) < now().replace(tzinfo=None):
            raise expired()
        return Caller(account, session.arn, session.role_arn, session.user_id, key)
    user = iam_backends[account][_PARTITION].get_user_from_access_key_id(key)
    if user:
        return Caller(account, user.arn, user.arn, user.id, key)
    arn = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/rehearsal"
    return Caller(DEFAULT_ACCOUNT_ID, arn, arn, "AIDAREHEARSALREHEARSA", key)


def secret_of(who: Caller) -> str | None:
    """The secret of an access key, None for one that IAM did not make."""
    session = sts_backends[who.account][_PARTITION].get_assumed_role_from_access_key(who.key)
    if session:
        return str(session.secret_access_key)
    keys = iam_backends[who.account][_PARTITION].access_keys
    return str(keys[who.key].secret_access_key) if who.key in keys else None


def session_token(who: Caller) -> str:
    """The token that belongs to a session's credentials, empty of a user."""
    session = sts_backends[who.account][_PARTITION].get_assumed_role_from_access_key(who.key)
    return str(session.session_token) if session else ""


def assume(region: str, role: str, session: str, duration: int) -> t.Any:
    """A new session of a role, with its credentials.

    :raises AwsError: the role does not allow one that long.
    """
    found = _role(role)
    if duration > int(found.max_session_duration or 3600):
        text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsError("ValidationError", text)
    backend = sts_backends[role.split(":")[4]][_PARTITION]
    return backend.assume_role(
        region_name=region, role_session_name=session, role_arn=role, policy="", duration=duration, external_id=""
    )


# IAM


def _role(arn: str) -> t.Any:
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    roles = iam_backends[account][_PARTITION].roles.values() if account.isdigit() else ()
    return next((role for role in roles if role.arn == arn), None)


def trust_policy(arn: str) -> Document | None:
    """A role's trust policy, None where there is no such role."""
    role = _role(arn)
    return None if role is None else _document(role.assume_role_policy_document)


def open_account(account: str, role: str) -> None:
    """Have the role in a further account by which the first one's administrators come into it."""
    backend = iam_backends[account][_PARTITION]
    if any(each.name == role for each in backend.roles.values()):
        return
    principal = {"AWS": f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    backend.create_role(
        role_name=role,
        assume_role_policy_document=document,
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )


def policies(arn: str) -> list[Document]:
    """The documents of a role's own policies and of those attached to it."""
    role = _role(arn)
    if role is None:
        return []
    return [_document(text) for text in role.policies.values()] + [
        _document(policy.document) for policy in role.managed_policies.values()
    ]


def principal_exists(arn: str) -> bool:
    """Whether a role or user is there."""
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    if not account.isdigit():
        return False
    users = iam_backends[account][_PARTITION].users.values()
    return _role(arn) is not None or any(user.arn == arn for user in users)


def issuer_exists(arn: str) -> bool:
    """Whether an OIDC provider is registered."""
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return account.isdigit() and arn in iam_backends[account][_PARTITION].open_id_providers


def check_role(arn: str, service: str, *further: str, **fields: t.Any) -> None:
    """See that a service may take a role.

    :arg further: Actions that it needs beside that of taking it.
    :raises AwsError: it may not.
    """
    document = trust_policy(arn)
    subject = trust.Subject(service=service)
    admitted = document and all(
        trust.admits(document, action, subject, unconditionally=True) == trust.ADMITTED
        for action in ("sts:AssumeRole", *further)
    )
    if not admitted:
        raise invalid(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not "
            f"correct (service principal {service})",
            **fields,
        )


def _document(text: t.Any) -> Document:
    if isinstance(text, str):
        text = json.loads(unquote(text) if text.startswith("%") else text)
    return dict(text)


# EC2


def subnets(account: str, region: str, ids: Iterable[str], **fields: t.Any) -> list[Subnet]:
    """Those subnets.

    :raises AwsError: one is not there.
    """
    known = {item.id: item for item in ec2_backends[account][region].describe_subnets()}
    wanted = list(ids)
    missing = [item for item in wanted if item not in known]
    if missing:
        raise invalid(f"The subnet ID '{missing[0]}' does not exist (Service: Ec2)", **fields)
    found = [known[item] for item in wanted]
    return [Subnet(item.id, item.availability_zone, item.vpc_id, item.cidr_block) for item in found]


def check_groups(account: str, region: str, ids: Iterable[str], **fields: t.Any) -> None:
    """:raises AwsError: a security group is not there."""
    for item in ids:
        if ec2_backends[account][region].get_security_group_from_id(item) is None:
            raise invalid(f"The security group '{item}' does not exist (Service: Ec2)", **fields)


def make_group(account: str, region: str, name: str, vpc: str, tags: Mapping[str, str]) -> str:
    """A security group as EKS makes one for each cluster; its id."""
    text = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes"
    return str(ec2_backends[account][region].create_security_group(name, text, vpc, dict(tags)).id)


def delete_group(account: str, region: str, group: str) -> None:
    """Remove a security group, if it is there."""
    if ec2_backends[account][region].get_security_group_from_id(group) is not None:
        ec2_backends[account][region].delete_security_group(group_id=group)


def architectures(region: str, instance_type: str) -> list[str]:
    """What an instance type can run; nothing where there is no such type."""
    try:
        found = ec2_backends[DEFAULT_ACCOUNT_ID][region].describe_instance_types([instance_type])
    except Exception:  # moto has an exception for each of AWS's errors
        return []
    listed: list[str] = found[0]["ProcessorInfo"]["SupportedArchitectures"] if found else []
    return [item for item in listed if item in ("x86_64", "arm64")]


def size(region: str, instance_type: str) -> tuple[int, int, int]:
    """Processors, memory in MiB, and how many pods the network interfaces have addresses for."""
    found = ec2_backends[DEFAULT_ACCOUNT_ID][region].describe_instance_types([instance_type])[0]
    network = found["NetworkInfo"]
    pods = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    return found["VCpuInfo"]["DefaultVCpus"], found["MemoryInfo"]["SizeInMiB"], min(pods, 110)


# Auto Scaling


def make_scaling_group(  # noqa: PLR0917
    account: str,
    region: str,
    name: str,
    scaling: Mapping[str, int],
    places: list[Subnet],
    instance_type: str,
    tags: Mapping[str, str],
) -> None:
    """A real Auto Scaling group, on which scheduled actions can be put."""
    ec2 = ec2_backends[account][region]
    image = _image(ec2, "arm64" if architectures(region, instance_type) == ["arm64"] else "x86_64")
    template = ec2.create_launch_template(name, "", {"InstanceType": instance_type, "ImageId": image}, {})
    autoscaling_backends[account][region].create_auto_scaling_group(
        name=name,
        availability_zones=[],
        desired_capacity=scaling["desiredSize"],
        max_size=scaling["maxSize"],
        min_size=scaling["minSize"],
        launch_config_name="",
        launch_template={"LaunchTemplateId": template.id, "Version": "1"},
        vpc_zone_identifier=",".join(place.id for place in places),
        default_cooldown=None,
        health_check_period=None,
        health_check_type=None,
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=["AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"],
        tags=[
            {"key": key, "value": value, "propagate_at_launch": True, "resource_id": name}
            for key, value in tags.items()
        ],
    )


def _image(ec2: t.Any, architecture: str) -> str:
    """Id of EKS's machine image, registered when it is first used."""
    name = f"amazon-eks-node-al2023-{architecture}-standard"
    found = next((item for item in ec2.amis.values() if item.name == name), None)
    if found is None:
        found = ec2.register_image(name, "EKS-optimized Kubernetes node based on Amazon Linux 2023")
        found.architecture, found.owner_alias = architecture, "amazon"
    return str(found.id)


def scale_group(account: str, region: str, name: str, scaling: Mapping[str, int]) -> None:
    """Give an Auto Scaling group other sizes."""
    group = autoscaling_backends[account][region].autoscaling_groups.get(name)
    if group is not None:
        group.max_size, group.min_size = scaling["maxSize"], scaling["minSize"]
        group.set_desired_capacity(scaling["desiredSize"])


def wanted_machines(account: str, region: str, name: str) -> int | None:
    """How many machines an Auto Scaling group wants, None where it is gone."""
    group = autoscaling_backends[account][region].autoscaling_groups.get(name)
    return None if group is None else int(group.desired_capacity)


def delete_scaling_group(account: str, region: str, name: str) -> None:
    """Remove an Auto Scaling group with its machines."""
    backend = autoscaling_backends[account][region]
    if name in backend.autoscaling_groups:
        backend.set_desired_capacity(name, 0)
        backend.delete_auto_scaling_group(name)
    ec2 = ec2_backends[account][region]
    if name in ec2.launch_template_name_to_ids:
        ec2.delete_launch_template(name, None)

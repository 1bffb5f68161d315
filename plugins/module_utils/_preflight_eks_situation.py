# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS says of the clusters that an inventory names, or why it says nothing.

A cluster that is there answers most questions at once, by one request: its ARN says the account, and that it
answers at all that the credentials and the region are good. Only where it does not, who asks is asked for.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Answer, AwsProblem, Kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    ACCOUNT,
    NAME,
    PROFILE,
    PROVIDER,
    REGION,
    Version,
    Wanted,
    version,
    wanted,
)

ACCOUNTS, REGIONS, CLUSTERS = "aws account", "aws region", "eks cluster"

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+$")
_ACCOUNT = re.compile(r"\d{12}$")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}$")
_CHAIN = "AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, `aws sso login`, or an instance's role"


class _Personal(t.NamedTuple):
    found: str
    remedy: str


PERSONAL: dict[Kind, _Personal] = {
    "none": _Personal(
        "there are no AWS credentials that can be used",
        f"Give them in one of the ways that the AWS CLI knows: {_CHAIN}.",
    ),
    "expired": _Personal(
        "the AWS credentials have expired",
        "Renew them (`aws sso login`, or assume the role again), and run again.",
    ),
    "invalid": _Personal(
        "AWS does not know the credentials, or they are not signed with their secret key",
        f"Correct them: `aws sts get-caller-identity` must answer. They come from {_CHAIN}.",
    ),
    "clock": _Personal("AWS finds that requests are signed at the wrong time", "Set the clock of this machine right."),
    "role": _Personal(
        "the role of the AWS profile cannot be assumed",
        "Let its trust policy name who assumes it, and allow that one sts:AssumeRole; or choose another profile.",
    ),
}


@dataclass(frozen=True)
class Situation:
    """What AWS says of one host's cluster.

    :arg account: Id of the account that the credentials belong to, "" where that is not known.
    :arg identity: Who in it we are, "" where the cluster answered already.
    :arg cluster: As DescribeCluster says; None where there is none.
    :arg trouble: Why nothing can be said, as a finding of `aws account`, `aws region` or `eks cluster`.
    """

    host: Host
    wanted: Wanted
    account: str = ""
    identity: str = ""
    cluster: Answer | None = None
    trouble: Finding | None = None

    @property
    def is_known(self) -> bool:
        """Whether it makes sense to look at anything further in this account."""
        return self.trouble is None and self.account_fits

    @property
    def account_fits(self) -> bool:
        """Whether it is the account that the inventory expects."""
        return self.wanted.account in ("", self.account)

    @property
    def is_to_be_made(self) -> bool:
        """Whether a run would make the cluster."""
        return self.is_known and self.cluster is None and not self.host.adopted

    @property
    def version(self) -> Version | None:
        """The version that is there."""
        return version(str((self.cluster or {}).get("version") or ""))

    def finding(self, check: str, found: str, variable: str, remedy: str) -> Finding:
        """Something that is wrong with it."""
        return Finding(check, found, "fail", variable, remedy, (self.host.name,))

    def ask(self, survey: Survey, service: str, operation: str, **params: t.Any) -> Answer:
        """Ask AWS, in the host's region."""
        region, profile = self.wanted.region, self.wanted.profile
        return t.cast("Answer", survey.probe.aws.call(region, service, operation, profile=profile, **params))


def hosts(survey: Survey) -> list[Host]:
    """Those with an EKS cluster."""
    return [host for host in survey.hosts if host.provider == PROVIDER]


def situations(survey: Survey) -> list[Situation]:
    """What AWS says of each cluster; each request is made once, however many checks need this."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda host: situation(survey, host), hosts(survey)))


def situation(survey: Survey, host: Host) -> Situation:
    """What AWS says of one cluster, and whether it says anything."""
    here = Situation(host, wanted(host))
    trouble = _region_name(here, survey) or _account_name(here) or _cluster_name(here)
    if trouble:
        return replace(here, trouble=trouble)
    try:
        cluster = here.ask(survey, "eks", "describe_cluster", name=host.cluster)["cluster"]
        return replace(here, cluster=cluster, account=_account_of(str(cluster.get("arn") or "")))
    except AwsProblem as problem:
        if problem.kind != "absent":
            return replace(here, trouble=_trouble(here, survey, problem))
    try:
        identity = here.ask(survey, "sts", "get_caller_identity")
    except AwsProblem as problem:
        return replace(here, trouble=_trouble(here, survey, problem))
    return replace(here, account=identity["Account"], identity=identity["Arn"])


def _region_name(here: Situation, survey: Survey) -> Finding | None:
    region = here.wanted.region
    if not region:
        remedy = "Give the AWS region that the cluster is in, ap-northeast-2 for example."
        return here.finding(REGIONS, "is not given", REGION, remedy)
    if _REGION.match(region):
        return None
    return _no_region(here, survey, region)


def _no_region(here: Situation, survey: Survey, region: str) -> Finding:
    known = survey.probe.aws.known_regions(region)
    close = difflib.get_close_matches(region, known, 3, 0.5)
    remedy = f"Did you mean {' or '.join(close)}?" if close else "Give a region with EKS, ap-northeast-2 for example."
    return here.finding(REGIONS, f"{region!r} is no region of AWS", REGION, remedy)


def _account_name(here: Situation) -> Finding | None:
    account = here.wanted.account
    if not account or _ACCOUNT.match(account):
        return None
    remedy = "Give its 12 digits as a text, in quotes: a number loses its leading zeros."
    return here.finding(ACCOUNTS, f"{account!r} is no id of an AWS account", ACCOUNT, remedy)


def _cluster_name(here: Situation) -> Finding | None:
    name = here.host.cluster
    if _NAME.match(name):
        return None
    remedy = "Begin with a letter or digit, and go on with letters, digits, hyphens and underscores, 100 at most."
    return here.finding(CLUSTERS, f"{name!r} is no name that EKS allows", NAME, remedy)


def _account_of(arn: str) -> str:
    return next(iter(arn.split(":")[4:5]), "")


def _trouble(here: Situation, survey: Survey, problem: AwsProblem) -> Finding:
    """What keeps us from knowing anything about a cluster."""
    kind, region = problem.kind, here.wanted.region
    if kind == "unreachable":
        return _unreachable(here, survey, problem)
    if kind == "region" or (kind == "invalid" and _knows_us_elsewhere(here, survey)):
        remedy = f"Enable it (`aws account enable-region --region-name {region}`), or choose one that is."
        return here.finding(REGIONS, f"{region} is not enabled in the account ({problem})", REGION, remedy)
    if kind in PERSONAL:
        who = PERSONAL[kind]
        # Whoever asks, it is the same for all hosts, but for those with a profile of their own.
        variable = PROFILE if here.wanted.profile else "AWS_PROFILE"
        return here.finding(ACCOUNTS, f"{who.found} ({problem})", variable, who.remedy)
    if kind == "library":
        remedy = "Install boto3 and botocore, and the collection amazon.aws, where Ansible's Python finds them."
        return here.finding(ACCOUNTS, f"AWS cannot be asked: {problem.message}", "ansible_python_interpreter", remedy)
    remedy = "See what AWS says of its own state (https://health.aws.amazon.com), and run again."
    if kind == "denied":
        remedy = "Allow eks:DescribeCluster to who runs this, with all that is needed to make a cluster."
    return here.finding(CLUSTERS, f"AWS does not say whether it is there ({problem})", "AWS_PROFILE", remedy)


def _knows_us_elsewhere(here: Situation, survey: Survey) -> bool:
    """Whether the credentials are good where no region has to be enabled: AWS answers both with one code."""
    aws = survey.probe.aws
    try:
        aws.call(aws.default_region(here.wanted.region), "sts", "get_caller_identity", profile=here.wanted.profile)
    except AwsProblem:
        return False
    return True


def _unreachable(here: Situation, survey: Survey, problem: AwsProblem) -> Finding:
    region = here.wanted.region
    if region not in survey.probe.aws.known_regions(region) and not survey.probe.aws_endpoint:
        return _no_region(here, survey, region)
    endpoint = survey.probe.aws_endpoint
    if endpoint:
        remedy = "Start what listens there, or take this environment variable away to reach AWS itself."
        found = f"nothing answers at {endpoint} ({problem.code})"
        return here.finding(REGIONS, found, "AWS_ENDPOINT_URL", remedy)
    remedy = "Check this machine's way to the internet: its proxy, name server and firewall."
    return here.finding(REGIONS, f"{region} cannot be reached ({problem})", REGION, remedy)


def unread(here: Situation, check: str, problem: AwsProblem, *, what: str, variable: str, right: str) -> Finding:
    """Something that could not be looked at, without which a run may still succeed.

    :arg right: The right in AWS that it takes.
    """
    remedy = f"Allow {right} to who runs this." if problem.kind == "denied" else "Look at it yourself, or run again."
    return Finding(
        check, f"not checked: {what} could not be read ({problem})", "warn", variable, remedy, (here.host.name,)
    )

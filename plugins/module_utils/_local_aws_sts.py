# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""STS in the look-alike: as moto does, but a role admits only those whom its trust policy names."""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Mapping
from xml.sax.saxutils import escape

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_trust as trust
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import REQUEST_ID, AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Caller, World

OPERATIONS = ("GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity")
UNSIGNED = "AssumeRoleWithWebIdentity"
ENTRANCE = "OrganizationAccountAccessRole"
"""By which whoever is in the first account comes into the others of its organization."""

Form = Mapping[str, str]
_CHAINED = 3600
"""The longest session, in seconds, of a role that another role assumed."""


class Sts:
    """The part of STS that is not moto's.

    :arg world: For the clusters that issue tokens.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tags: dict[str, dict[str, str]] = {}

    def answer(self, operation: str, region: str, caller: Caller | None, form: Form) -> bytes:
        """Do what is asked for, as XML.

        :raises AwsError: it cannot be done.
        """
        if operation == UNSIGNED:
            result = self._web_identity(region, form)
        elif caller is None:
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        elif operation == "AssumeRole":
            credentials = self.assume(caller, region, form["RoleArn"], form["RoleSessionName"], **_options(form))
            result = _assumed(credentials)
        else:
            result = {"Arn": caller.arn, "UserId": caller.user, "Account": caller.account}
        head = f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        tail = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{operation}Response>"
        return f"{head}<{operation}Result>{_xml(result)}</{operation}Result>{tail}".encode()

    def assume(
        self,
        caller: Caller,
        region: str,
        role: str,
        session: str,
        *,
        duration: int = 3600,
        external_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> t.Any:
        """Let a principal take a role.

        :raises AwsError: it may not.
        """
        account = role.split(":")[4] if role.count(":") >= 5 else ""
        if role.endswith(f":role/{ENTRANCE}") and account in self._world.settings.accounts:
            moto.open_account(account, ENTRANCE)
        context = {"sts:ExternalId": external_id} if external_id else {}
        context |= {f"aws:PrincipalTag/{key}": value for key, value in self._tags.get(caller.key, {}).items()}
        context |= {"aws:PrincipalArn": caller.principal, "aws:PrincipalAccount": caller.account}
        chained = ":assumed-role/" in caller.arn
        subject = trust.Subject(arn=caller.arn, role=caller.principal, context=context | _requested(tags))
        for action in ("sts:AssumeRole", *(["sts:TagSession"] if tags else [])):
            verdict = self._admits(role, action, subject)
            foreign = role.split(":")[4:5] != [caller.account]
            # Who has no role is the administrator of this machine.
            if chained and (verdict == trust.BY_ACCOUNT or foreign):
                own = trust.allows(moto.policies(caller.principal), action, role, context | _requested(tags))
                verdict = trust.ADMITTED if own and verdict != trust.REFUSED else trust.REFUSED
            if verdict == trust.REFUSED:
                raise _denied(caller.arn, action, role)
        if chained and duration > _CHAINED:
            text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            raise AwsError("ValidationError", text)
        return self._give(region, role, session, duration, tags)

    def assume_for_service(self, service: str, source: str, role: str, session: str, tags: Mapping[str, str]) -> t.Any:
        """Let one of AWS's own services take a role, with tags on the session if there are any.

        :arg source: ARN of what it does so for.
        :raises AwsError: it may not.
        """
        for action in ("sts:AssumeRole", *(["sts:TagSession"] if tags else [])):
            context = {"aws:SourceArn": source, "aws:SourceAccount": source.split(":")[4]}
            subject = trust.Subject(service=service, context=context | _requested(tags))
            if self._admits(role, action, subject) == trust.REFUSED:
                raise _denied(service, action, role)
        return self._give(source.split(":")[3], role, session, 3600, tags)

    def _admits(self, role: str, action: str, subject: trust.Subject) -> str:
        document = moto.trust_policy(role)
        return trust.REFUSED if document is None else trust.admits(document, action, subject)

    def _give(self, region: str, role: str, session: str, duration: int, tags: Mapping[str, str] | None) -> t.Any:
        credentials = moto.assume(region, role, session, duration)
        self._tags[credentials.access_key_id] = dict(tags or {})
        return credentials

    def _web_identity(self, region: str, form: Form) -> dict[str, t.Any]:
        token, role = form["WebIdentityToken"], form["RoleArn"]
        claims = _claims(token)
        issuer, audiences = str(claims.get("iss", "")), claims.get("aud", [])
        audiences = [audiences] if isinstance(audiences, str) else audiences
        cluster = next(
            (
                item
                for item in self._world.clusters.values()
                if item.shape.get("identity", {}).get("oidc", {}).get("issuer") == issuer
            ),
            None,
        )
        account = role.split(":")[4] if role.count(":") >= 5 else ""
        host = issuer.removeprefix("https://")
        provider = f"arn:aws:iam::{account}:oidc-provider/{host}"
        if not moto.issuer_exists(provider):
            text = f"No OpenIDConnect provider found in your account for {issuer}"
            raise AwsError("InvalidIdentityToken", text)
        planes = self._world.planes
        if not (cluster and planes and planes.verify(cluster, token, audiences)):
            raise AwsError("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        subject = str(claims.get("sub", ""))
        context = {f"{host}:sub": subject, f"{host}:aud": str(audiences[0])}
        if self._admits(role, f"sts:{UNSIGNED}", trust.Subject(issuer=provider, context=context)) == trust.REFUSED:
            raise AwsError("AccessDenied", f"Not authorized to perform sts:{UNSIGNED}", 403)
        duration = int(form.get("DurationSeconds", 3600))
        given = _assumed(self._give(region, role, form["RoleSessionName"], duration, None))
        return given | {"SubjectFromWebIdentityToken": subject, "Audience": audiences[0], "Provider": provider}


def _requested(tags: Mapping[str, str] | None) -> dict[str, str]:
    return {f"aws:RequestTag/{key}": value for key, value in (tags or {}).items()}


def _denied(who: str, action: str, role: str) -> AwsError:
    text = f"User: {who} is not authorized to perform: {action} on resource: {role}"
    return AwsError("AccessDenied", text, 403)


def _options(form: Form) -> dict[str, t.Any]:
    tags = {
        value: form.get(name.removesuffix("Key") + "Value", "")
        for name, value in form.items()
        if name.startswith("Tags.member.") and name.endswith(".Key")
    }
    duration = int(form.get("DurationSeconds", 3600))
    return {"duration": duration, "external_id": form.get("ExternalId", ""), "tags": tags}


def _assumed(credentials: t.Any) -> dict[str, t.Any]:
    return {
        "AssumedRoleUser": {"AssumedRoleId": credentials.user_id, "Arn": credentials.arn},
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": credentials.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


def _claims(token: str) -> dict[str, t.Any]:
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError) as error:
        raise AwsError("InvalidIdentityToken", "The ID Token provided is not a valid JWT.") from error
    return dict(claims) if isinstance(claims, dict) else {}


def _xml(value: t.Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items())
    return escape(str(value))

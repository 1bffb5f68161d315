# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A first value for a secret of AWS Secrets Manager, which never takes the place of a newer one.

Newer is what somebody else wrote. The versions that are written here have ids of their own kind, so that the id of the
current version tells whose it is: no clocks are compared, and nothing is kept that follows from the value.
"""

from __future__ import annotations

import json
import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service, preload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

preload("secretsmanager")

CREATE, UPDATE, UNCHANGED, KEEP = "created", "updated", "unchanged", "kept"
PREFIX = "hubspoke-seed-"
_CURRENT = "AWSCURRENT"
# Bears the value until it becomes the current one.
_STAGE = "hubspoke-seed"
_LIMIT = 65536
_TELLING = 6
_ATTEMPTS = 3


@dataclass(frozen=True)
class Found:
    """What is there.

    :arg version: Id of the current version, empty where there is none yet.
    :arg text: Its value, None where there is none or it is binary.
    :arg deleted: When it will be gone, empty where it stays.
    """

    arn: str
    version: str = ""
    text: str | None = None
    deleted: str = ""

    @property
    def ours(self) -> bool:
        """Whether the current version was written here, or is yet to come."""
        return not self.version or self.version.startswith(PREFIX)


def text_of(value: t.Any) -> str:
    """The value as it is stored: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def telling(value: t.Any, text: str) -> list[str]:
    """The texts in a value that are long enough to be recognized, and so to be censored."""
    if isinstance(value, dict):
        parts = [part for each in value.values() for part in telling(each, "")]
    elif isinstance(value, list):
        parts = [part for each in value for part in telling(each, "")]
    else:
        parts = [str(value)]
    return [part for part in (*parts, text) if len(part) >= _TELLING]


def plan(found: Found | None, text: str) -> str:
    """What becomes of the secret."""
    if found is None:
        return CREATE
    if found.version and same(found.text, text):
        return UNCHANGED
    return UPDATE if found.ours else KEEP


def same(one: str | None, other: str) -> bool:
    """Whether two values mean the same."""
    return one is not None and (one == other or _meaning(one) == _meaning(other))


def _meaning(text: str) -> t.Any:
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    # A number or a quoted text may well be meant as it is written.
    return parsed if isinstance(parsed, (dict, list)) else text


def checked(name: str, text: str) -> str:
    """The text, where it can be the value of a secret.

    :raises HubspokeError: it cannot.
    """
    size = len(text.encode())
    if not text:
        raise HubspokeError(f"The secret {name} is to be seeded with an empty value.", "Give it one.")
    if size > _LIMIT:
        raise HubspokeError(
            f"The value of the secret {name} has {size} bytes; Secrets Manager takes {_LIMIT}.",
            "Divide it into several secrets.",
        )
    return text


class Seed:
    """One secret.

    :arg service: Secrets Manager.
    :arg text: The value it is to begin with.
    """

    def __init__(self, service: Service, name: str, text: str, options: t.Mapping[str, t.Any]) -> None:
        self._service = service
        self._name = name
        self._text = checked(name, text)
        self._options = options

    def apply(self, check_mode: bool) -> tuple[str, Found | None]:
        """What was done, or would be, and what is there then.

        :raises HubspokeError: it is about to be deleted, or AWS refuses.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            found = self.read()
            action = plan(found, self._text)
            if check_mode or action in (UNCHANGED, KEEP):
                return action, found
            try:
                return action, self._create() if found is None else self._update(found)
            except AwsError as error:
                # Somebody was quicker: what is there now is looked at again.
                overtaken = error.code in ("ResourceExistsException", "InvalidParameterException")
                if not overtaken or attempt == _ATTEMPTS or self.read() == found:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def read(self) -> Found | None:
        """What is there, None where nothing is.

        :raises HubspokeError: it is about to be deleted, or cannot be read.
        """
        doing = f"The secret {self._name} cannot be read"
        try:
            described = self._service.call("describe_secret", doing, SecretId=self._name)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        if described.get("DeletedDate"):
            raise HubspokeError(
                f"The secret {self._name} in {self._service.region} is scheduled for deletion since "
                f"{described['DeletedDate']}.",
                f"`aws secretsmanager restore-secret --secret-id {self._name}` brings it back.",
            )
        stages = (described.get("VersionIdsToStages") or {}).values()
        if not any(_CURRENT in names for names in stages):
            return Found(described["ARN"])
        value = self._service.call("get_secret_value", doing, SecretId=self._name, VersionStage=_CURRENT)
        return Found(described["ARN"], value["VersionId"], value.get("SecretString"))

    def _create(self) -> Found:
        version = _version()
        request = {
            "Name": self._name,
            "SecretString": self._text,
            "ClientRequestToken": version,
            "Description": self._options.get("description"),
            "KmsKeyId": self._options.get("kms_key_id"),
            "Tags": [{"Key": key, "Value": str(value)} for key, value in (self._options.get("tags") or {}).items()],
        }
        made = self._service.call(
            "create_secret",
            f"The secret {self._name} cannot be made",
            **{key: value for key, value in request.items() if value},
        )
        return Found(made["ARN"], version, self._text)

    def _update(self, found: Found) -> Found:
        """In two steps, of which the second is refused where another version has become the current one meanwhile."""
        version, doing = _version(), f"The secret {self._name} cannot be written"
        stage = _STAGE if found.version else _CURRENT
        self._service.call(
            "put_secret_value",
            doing,
            SecretId=self._name,
            SecretString=self._text,
            ClientRequestToken=version,
            VersionStages=[stage],
        )
        if found.version:
            self._service.call(
                "update_secret_version_stage",
                doing,
                SecretId=self._name,
                VersionStage=_CURRENT,
                MoveToVersionId=version,
                RemoveFromVersionId=found.version,
            )
        return Found(found.arn, version, self._text)


def _version() -> str:
    return f"{PREFIX}{uuid.uuid4().hex}"

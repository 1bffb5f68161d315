# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The AWS clients of every module here: amazon.aws's options, botocore's retries, our errors.

amazon.aws says what its options mean, so that its users find what they know (profile, endpoint_url, the environment).
The client itself is made here, because a module of this collection runs in a worker that was forked a moment ago: the
models of the services are then read once by the parent, and not again for every task.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import aws_error
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

IMPORT_ERROR: ImportError | None = None
try:
    # By itself, because it needs no library: tools read the arguments where none is installed.
    from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

    CONNECTION_SPEC: dict[str, t.Any] = aws_argument_spec()
except ImportError as error:
    IMPORT_ERROR = error
    CONNECTION_SPEC = {}
try:
    import boto3.session
    import botocore.config
    import botocore.loaders
    import botocore.session
    from ansible_collections.amazon.aws.plugins.module_utils import botocore as amazon_aws
    from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as error:
    IMPORT_ERROR = error
else:
    _models = botocore.loaders.Loader()

TAGS_SPEC: dict[str, t.Any] = {
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
}
"""As amazon.aws documents them in its fragment `amazon.aws.tags`."""

Answer = dict[str, t.Any]
_making = threading.Lock()

# Standard mode waits longer each time, with jitter, on throttling, on faults of the service and on lost connections.
# Ten attempts outlast any burst that one run of a playbook makes itself.
_RETRIES: dict[str, t.Any] = {"mode": "standard", "max_attempts": 10}


def preload(service: str) -> None:
    """Read the models that a client of this service needs now, so that workers forked later have them."""
    if IMPORT_ERROR:
        return
    # By making one, which asks for all of them: its region and its keys are nobody's. What is wrong with this machine's
    # settings is said by the task that needs them.
    keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "none")
    with contextlib.suppress(BotoCoreError, OSError, ValueError):
        _session().create_client(service, region_name="us-east-1", config=_configuration(None), **keys)


def _session(profile: str | None = None) -> t.Any:
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", _models)
    return session


def _configuration(given: t.Any) -> t.Any:
    config = botocore.config.Config(retries=_RETRIES, user_agent_extra="hubspoke.bootstrap")
    return config.merge(given) if given else config


class Aws:
    """What a task's connection options lead to: an account in a region.

    :arg params: The task's arguments, with those of CONNECTION_SPEC among them.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        if IMPORT_ERROR:
            raise HubspokeError(
                f"A Python library is missing: {IMPORT_ERROR}.",
                "Install the packages of this collection's requirements into the Python that runs Ansible.",
            )
        try:
            region, self._endpoint, self._options = amazon_aws._aws_connection_info(
                {name: params.get(name) for name in CONNECTION_SPEC}
            )
        except AnsibleBotocoreError as error:
            raise HubspokeError(f"{error.message}", "Give one of them; an empty text takes one away.") from error
        except (BotoCoreError, TypeError, ValueError) as error:
            raise aws_error(error, "AWS cannot be addressed with these options") from error
        if not region:
            raise HubspokeError(
                "No AWS region is known.", "Set the option region, AWS_REGION, or the region of the profile."
            )
        self.region: str = region
        self.calls: set[str] = set()
        """What was called, as amazon.aws lists it on request (eks:DescribeCluster)."""

    def service(self, name: str) -> Service:
        """A client of one service."""
        options = dict(self._options)
        session = _session(options.pop("profile_name", None))
        config = _configuration(options.pop("aws_config", None))
        try:
            # boto3 itself says that making clients is not safe in threads.
            with _making:
                client = boto3.session.Session(botocore_session=session).client(
                    name,
                    region_name=self.region,
                    endpoint_url=self._endpoint,
                    config=config,
                    **options,
                )
        except (BotoCoreError, ValueError) as error:
            raise aws_error(error, f"AWS cannot be addressed with these options for {name}") from error
        return Service(client, name, self.region, self.calls)

    def with_calls(self, result: Answer, params: t.Mapping[str, t.Any]) -> Answer:
        """A module's result with what debug_botocore_endpoint_logs asks for."""
        if params.get("debug_botocore_endpoint_logs"):
            result["resource_actions"] = sorted(self.calls)
        return result


class Service:
    """One service of AWS; every failure is an AwsError. Safe to use from several threads.

    :arg client: A client of boto3.
    """

    def __init__(self, client: t.Any, name: str, region: str, calls: set[str] | None = None) -> None:
        self.name = name
        self.region = region
        self.client = client
        self._calls = calls if calls is not None else set()

    def call(self, operation: str, doing: str, **request: t.Any) -> Answer:
        """One operation.

        :arg operation: As boto3 names it (describe_cluster).
        :arg doing: What it is for, as the start of an error's sentence ("The cluster seoul cannot be read").
        :raises AwsError: AWS refused it, or cannot be reached.
        """
        action = self._action(operation)
        try:
            answer: Answer = getattr(self.client, operation)(**request)
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error, doing, action, self.region) from error
        return {key: _plain(value) for key, value in answer.items() if key != "ResponseMetadata"}

    def pages(self, operation: str, key: str, doing: str, **request: t.Any) -> list[t.Any]:
        """What a list operation has under that key, on all its pages.

        :raises AwsError: AWS refused it, or cannot be reached.
        """
        action = self._action(operation)
        try:
            pages = self.client.get_paginator(operation).paginate(**request)
            return [_plain(item) for page in pages for item in page.get(key) or []]
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error, doing, action, self.region) from error

    def _action(self, operation: str) -> str:
        action = f"{self.name}:{''.join(word.capitalize() for word in operation.split('_'))}"
        self._calls.add(action)
        return action


def tag_changes(
    actual: t.Mapping[str, str], wanted: t.Mapping[str, t.Any] | None, purge: bool
) -> tuple[dict[str, str], list[str]]:
    """Tags to set and keys of tags to remove; those that AWS keeps for itself stay.

    :arg wanted: None where nothing is said about tags.
    """
    if wanted is None:
        return {}, []
    texts = {str(key): tag_text(value) for key, value in wanted.items()}
    to_set = {key: value for key, value in texts.items() if actual.get(key) != value}
    to_remove = [key for key in actual if purge and key not in texts and not key.startswith("aws:")]
    return to_set, sorted(to_remove)


def tag_text(value: t.Any) -> str:
    """The value of a tag as text, as amazon.aws writes it (`True`); none at all is an empty text."""
    return "" if value is None else str(value)


def _plain(value: t.Any) -> t.Any:
    """Without Python's own types: a result of a module has to be JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.datetime) else value

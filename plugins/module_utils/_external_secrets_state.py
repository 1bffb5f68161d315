# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an object of External Secrets is: whether it is ready, the reason that it gives itself, and what helps."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._ready import Object, missing_condition

GROUP = "external-secrets.io"
_LONGEST = 600

# What differs from one attempt to the next.
_NOISE = re.compile(r",?\s*(?:RequestID|request id|HostID):\s*[^,\s]*", re.IGNORECASE)

_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"IAM role must be associated with service account",
        "Annotate that service account with eks.amazonaws.com/role-arn; or give the store no auth block, if the role "
        "comes by an EKS Pod Identity association, which jwt knows nothing of.",
    ),
    (
        r"No pod identity association|EC2 IMDS|failed to load credentials|no valid providers|NoCredentialProviders",
        "The controller has no credentials: give its service account an EKS Pod Identity association or a role, and "
        "start its pods anew, which get them only when they start.",
    ),
    (
        r"InvalidIdentityToken|No OpenIDConnect provider",
        "Make the cluster's OIDC issuer an identity provider of the account, or use EKS Pod Identity.",
    ),
    (
        r"sts:AssumeRole|AssumeRoleWithWebIdentity|sts:TagSession",
        "The role's trust policy has to admit the service account, and the role has to be in the right account.",
    ),
    (
        r"AccessDenied|not authorized|KMS key",
        "Allow that to the role of the store, on this secret and on the key that encrypts it.",
    ),
    (
        r"marked (?:for deletion|deleted)|scheduled for deletion",
        "`aws secretsmanager restore-secret` brings it back, as long as its recovery window is not over.",
    ),
    (
        r"key \S+ does not exist in secret",
        "Correct the property, or add the key to the secret.",
    ),
    (
        r"unable to unmarshal|invalid character|cannot unmarshal",
        "The value is no JSON object, of which extract and property could take keys: store JSON, or take it whole.",
    ),
    (
        r"Secret does not exist|can't find the specified secret|ResourceNotFoundException|ParameterNotFound",
        "Make it in the region and the account of the store, or correct its name or the store's region.",
    ),
    (
        r"denied by spec\.condition",
        "Add the namespace to the conditions of the store.",
    ),
    (
        r"ExpiredToken|SignatureDoesNotMatch|InvalidSignature|RequestExpired|Signature (?:expired|not yet current)",
        "Renew the credentials; and compare the clocks, of which more than five minutes of difference are refused.",
    ),
    (
        r"InvalidClientTokenId|UnrecognizedClient|security token included in the request is invalid",
        "The credentials of the store are not known to AWS: correct them.",
    ),
    (
        r"no such host|connection refused|i/o timeout|deadline exceeded",
        "The service cannot be reached from the cluster: check network, proxy, endpoints, and the region of the store.",
    ),
    (
        r"is not ready",
        "Its store has to become ready first.",
    ),
    (
        r"secrets? \"[^\"]+\" not found|cannot get Kubernetes secret",
        "Make the Secret that it names, in that namespace.",
    ),
)


@dataclass(frozen=True)
class State:
    """One object.

    :arg reason: The word that it gives itself.
    :arg message: What it says of itself, or what its last warning says where that tells more.
    :arg origin: Where an ExternalSecret reads from.
    """

    kind: str
    namespace: str
    name: str
    ready: bool
    reason: str = ""
    message: str = ""
    remedy: str = ""
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def sentence(self) -> str:
        """What is wrong with it, for people."""
        because = ": ".join(filter(None, (self.reason, self.message.rstrip("."))))
        origin = f" (read from {self.origin})" if self.origin else ""
        return f"{self}: {because or 'not ready'}{origin}."

    def result(self) -> dict[str, t.Any]:
        """As a module returns it."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "ready": self.ready,
            "reason": self.reason,
            "message": self.message,
        }


def absent(kind: str, namespace: str, name: str) -> State:
    """One that is waited for and not there."""
    return State(kind, namespace, name, False, "", "it is not there")


def of_object(live: Object, events: t.Callable[[Object], list[Object]]) -> State:
    """A store, an ExternalSecret or a PushSecret.

    :arg events: The events about an object; only asked for where it is not ready.
    """
    metadata = live["metadata"]
    kind, namespace, name = live["kind"], metadata.get("namespace") or "", metadata["name"]
    condition = _condition(live, "Ready")
    if metadata.get("deletionTimestamp"):
        return State(kind, namespace, name, False, "", "it is being deleted")
    if condition and condition.get("status") == "True":
        if _stale(live):
            return State(kind, namespace, name, False, "", "its latest change is not synced yet")
        return State(kind, namespace, name, True, condition.get("reason", ""), condition.get("message", ""))
    if not condition:
        message = "no controller has looked at it yet"
        return State(kind, namespace, name, False, "", message, "Is the controller running, and of this class?")
    # The condition says no more than that it could not: why is in the event.
    message = tidy(last_warning(events(live)) or condition.get("message", ""))
    return State(kind, namespace, name, False, condition.get("reason", ""), message, remedy(message))


def origin(store: Object) -> str:
    """A store, with what of a provider it reads: a name that is right may well be looked for in the wrong region."""
    name = f"{store['kind']} {store['metadata']['name']}"
    ((provider, settings),) = store["spec"]["provider"].items()
    return f"{name}, {settings['service']} of {settings['region']}" if provider == "aws" else f"{name}, {provider}"


def of_definition(live: Object) -> State:
    """A CustomResourceDefinition."""
    lack = missing_condition(live, "Established")
    return State("CustomResourceDefinition", "", live["metadata"]["name"], lack is None, "", lack or "")


def of_webhook(configuration: Object, slices: t.Callable[[str, str], list[Object]]) -> State:
    """A configuration of webhooks: what the API server needs to call them.

    :arg slices: The EndpointSlices of a Service (namespace, name).
    """
    kind, name = configuration["kind"], configuration["metadata"]["name"]
    for webhook in configuration.get("webhooks") or []:
        client = webhook.get("clientConfig") or {}
        if not about_us(webhook):
            continue
        if not client.get("caBundle"):
            message = f"webhook {webhook['name']} has no caBundle yet"
            return State(kind, "", name, False, "", message, "Is the cert-controller running?")
        service = client.get("service")
        if service and not any(map(_serves, slices(service["namespace"], service["name"]))):
            message = f"Service {service['namespace']}/{service['name']} has no ready endpoint"
            return State(kind, "", name, False, "", message, "Are the pods of the webhook running?")
    return State(kind, "", name, True)


def about_us(webhook: Object) -> bool:
    """Whether a webhook is asked about objects of External Secrets."""
    return any(GROUP in (rule.get("apiGroups") or []) for rule in webhook.get("rules") or [])


def remedy(message: str) -> str:
    """What helps against a message, empty where that is not known."""
    return next((text for pattern, text in _REMEDIES if re.search(pattern, message, re.IGNORECASE)), "")


def tidy(message: str) -> str:
    """On one line, the same for every attempt, and not endless."""
    text = " ".join(_NOISE.sub("", message).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def last_warning(events: t.Iterable[Object]) -> str:
    """The text of the latest warning, empty where there is none."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    return str(max(warnings, key=_when).get("message") or "") if warnings else ""


def _when(event: Object) -> str:
    """Times of Kubernetes can be compared as they are written."""
    created = event.get("metadata", {}).get("creationTimestamp")
    return str(event.get("lastTimestamp") or event.get("eventTime") or created or "")


def _condition(live: Object, wanted: str) -> dict[str, t.Any] | None:
    conditions = (live.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == wanted), None)


def _stale(live: Object) -> bool:
    """Whether what is known was written about an earlier generation: stores do not tell."""
    synced = str((live.get("status") or {}).get("syncedResourceVersion") or "")
    if not synced or live.get("spec", {}).get("refreshPolicy") == "CreatedOnce":
        return False
    return synced.partition("-")[0] != str(live["metadata"].get("generation", ""))


def _serves(endpoints: Object) -> bool:
    return any((each.get("conditions") or {}).get("ready") is not False for each in endpoints.get("endpoints") or [])

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS answers when it refuses, as one sentence that names the thing, and one that says what to do."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

_CREDENTIALS = (
    "Give credentials by the usual chain (AWS_PROFILE, AWS_ACCESS_KEY_ID, `aws sso login`, an instance's role); "
    "`aws sts get-caller-identity` shows what it finds."
)
_RENEW = "Renew them (`aws sso login`, or assume the role again) and run again; what is done already is kept."
_UNKNOWN = (
    "Check the credentials with `aws sts get-caller-identity`, and that the region {region} is enabled in the account."
)
_DENIED = "Allow {action} to the identity that runs this; `aws sts get-caller-identity` shows which that is."
_QUOTA = "Have the quota raised in Service Quotas of {region}, or delete what is no longer used."
_THROTTLED = "AWS still throttles after many attempts: run again later, or with fewer forks."
_UNREACHABLE = "Check the network, the proxy, and where one is set AWS_ENDPOINT_URL."
_AGAIN = "The fault is the service's: run again."

_REMEDIES = {
    "NoCredentialsError": _CREDENTIALS,
    "PartialCredentialsError": _CREDENTIALS,
    "CredentialRetrievalError": _CREDENTIALS,
    "ProfileNotFound": "`aws configure list-profiles` names those there are.",
    "NoRegionError": "Set the option region, AWS_REGION, or the region of the profile.",
    "UnauthorizedSSOTokenError": _RENEW,
    "SSOTokenLoadError": _RENEW,
    "TokenRetrievalError": _RENEW,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "RequestExpired": _RENEW,
    "InvalidClientTokenId": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
    "AuthFailure": _UNKNOWN,
    "OptInRequired": _UNKNOWN,
    "SignatureDoesNotMatch": "Check the secret key, and this machine's clock.",
    "InvalidSignatureException": "Check the secret key, and this machine's clock.",
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "UnauthorizedOperation": _DENIED,
    "ForbiddenException": _DENIED,
    "ResourceLimitExceededException": _QUOTA,
    "LimitExceeded": _QUOTA,
    "LimitExceededException": _QUOTA,
    "Throttling": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
    "RequestLimitExceeded": _THROTTLED,
    "ServerException": _AGAIN,
    "InternalFailure": _AGAIN,
    "ServiceUnavailable": _AGAIN,
    "ServiceUnavailableException": _AGAIN,
    "ResourceInUseException": "Something else made it or is changing it: wait until that is done, and run again.",
    "ResourceNotFoundException": "Make what it names first, and check the region ({region}) and the account.",
    "InvalidParameterException": "Correct the option that it speaks of.",
    "ParamValidationError": "Correct the option that it speaks of.",
    "InvalidRequestException": "It does not go with the state that things are in; put that right first.",
    "EndpointConnectionError": _UNREACHABLE,
    "ConnectionClosedError": _UNREACHABLE,
    "ConnectTimeoutError": _UNREACHABLE,
    "ReadTimeoutError": _UNREACHABLE,
    "ProxyConnectionError": _UNREACHABLE,
    "SSLError": "Check aws_ca_bundle and validate_certs, and whether a proxy stands between.",
}


class AwsError(HubspokeError):
    """AWS refused, or could not be asked.

    :arg code: AWS's own code of the error, or the name of botocore's exception; also in the result as `aws_code`.
    :arg text: What AWS said, by itself.
    """

    def __init__(self, message: str, code: str, remedy: str = "", text: str = "", **details: t.Any) -> None:
        super().__init__(message, remedy, aws_code=code, **details)
        self.code = code
        self.text = text


def aws_error(error: Exception, doing: str, action: str = "", region: str = "") -> AwsError:
    """What botocore raised, as an error of ours.

    :arg doing: What could not be done, as the start of the sentence.
    :arg action: The right that the operation needs (eks:CreateCluster).
    """
    response: dict[str, t.Any] = getattr(error, "response", None) or {}
    answered = response.get("Error") if isinstance(response, dict) else None
    code = str(answered.get("Code") or type(error).__name__) if answered else type(error).__name__
    text = str(answered.get("Message") or "") if answered else str(error)
    remedy = _REMEDIES.get(code, "").format(action=action or "the operation", region=region or "in use")
    zones = response.get("validZones") if answered else None
    if code == "UnsupportedAvailabilityZoneException":
        known = f" AWS names {', '.join(zones)}." if zones else ""
        remedy = f"Take subnets in other availability zones.{known}"
    text = " ".join(text.split()).rstrip(".")
    return AwsError(f"{doing}: {code}{f': {text}' if text else ''}.", code, remedy, text, aws_action=action)

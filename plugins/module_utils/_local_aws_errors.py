# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Errors as AWS answers them: a code and a message, in the form of each of its protocols. Pure."""

from __future__ import annotations

import json
import typing as t
from xml.sax.saxutils import escape

REQUEST_ID = "00000000-0000-4000-8000-000000000000"

# What EC2, with its own history, calls what the others call by the name on the left.
_EC2_CODES = {
    "ExpiredToken": "RequestExpired",
    "InvalidClientTokenId": "AuthFailure",
    "Throttling": "RequestLimitExceeded",
}
_JSON_CODES = {
    "ExpiredToken": "ExpiredTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "Throttling": "ThrottlingException",
    "AccessDenied": "AccessDeniedException",
}


class AwsError(Exception):
    """An answer that is not a success.

    :arg code: AWS's code.
    :arg message: What it says.
    :arg status: HTTP status.
    :arg fields: Further members of the error (clusterName ...).
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: t.Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, fields

    def answer(self, protocol: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body.

        :arg protocol: botocore's name of it.
        """
        if protocol == "ec2":
            code = _EC2_CODES.get(self.code, self.code)
            status = 503 if code == "RequestLimitExceeded" else self.status
            text = f"<Response><Errors><Error>{_said(code, self.message)}</Error></Errors>"
            return status, _XML, f"{text}<RequestID>{REQUEST_ID}</RequestID></Response>".encode()
        if protocol in ("query", "rest-xml"):
            text = f"<ErrorResponse><Error><Type>Sender</Type>{_said(self.code, self.message)}</Error>"
            return self.status, _XML, f"{text}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>".encode()
        code = _JSON_CODES.get(self.code, self.code)
        body = {"__type": code, "message": self.message, **self.fields}
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code, "x-amzn-RequestId": REQUEST_ID}
        return self.status, headers, json.dumps(body).encode()


_XML = {"Content-Type": "text/xml", "x-amzn-RequestId": REQUEST_ID}


def _said(code: str, message: str) -> str:
    return f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"


def not_found(message: str, **fields: t.Any) -> AwsError:
    """EKS knows no such thing."""
    return AwsError("ResourceNotFoundException", message, 404, **fields)


def in_use(message: str, **fields: t.Any) -> AwsError:
    """It is there already, or busy, or others need it."""
    return AwsError("ResourceInUseException", message, 409, **fields)


def invalid(message: str, **fields: t.Any) -> AwsError:
    """A parameter cannot be."""
    return AwsError("InvalidParameterException", message, 400, **fields)


def refused(message: str, **fields: t.Any) -> AwsError:
    """The request cannot be done with the thing as it is."""
    return AwsError("InvalidRequestException", message, 400, **fields)


def limit(message: str, **fields: t.Any) -> AwsError:
    """A quota is used up."""
    return AwsError("ResourceLimitExceededException", message, 400, **fields)


def expired() -> AwsError:
    """The credentials were good once."""
    return AwsError("ExpiredToken", "The security token included in the request is expired", 403)


def unknown_token() -> AwsError:
    """The credentials are nobody's, or of no use in this region."""
    return AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def throttled() -> AwsError:
    """Too many requests."""
    return AwsError("Throttling", "Rate exceeded", 400)

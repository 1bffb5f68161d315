# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Repositories and templates of repository credentials as the Secrets that Argo CD reads."""

from __future__ import annotations

import base64
import re
import typing as t
from urllib.parse import urlsplit

Object = dict[str, t.Any]

REPOSITORY, CREDENTIALS = "repository", "repo-creds"

# Our option → the key in the Secret.
_KEYS = {
    "type": "type",
    "url": "url",
    "name": "name",
    "project": "project",
    "username": "username",
    "password": "password",
    "bearer_token": "bearerToken",
    "ssh_private_key": "sshPrivateKey",
    "github_app_id": "githubAppID",
    "github_app_installation_id": "githubAppInstallationID",
    "github_app_private_key": "githubAppPrivateKey",
    "github_app_enterprise_base_url": "githubAppEnterpriseBaseUrl",
    "tls_client_cert": "tlsClientCertData",
    "tls_client_key": "tlsClientCertKey",
    "insecure": "insecure",
    "enable_lfs": "enableLfs",
    "enable_oci": "enableOCI",
    "force_http_basic_auth": "forceHttpBasicAuth",
    "proxy": "proxy",
    "no_proxy": "noProxy",
}
# Ways to authenticate: only one can be meant.
_WAYS = {
    "username and password": ("password",),
    "token": ("token",),
    "bearer_token": ("bearer_token",),
    "ssh_private_key": ("ssh_private_key",),
    "a GitHub App": ("github_app_id", "github_app_installation_id", "github_app_private_key"),
}
_PEM = ("ssh_private_key", "github_app_private_key", "tls_client_cert", "tls_client_key")
_SSH = re.compile(r"(ssh://|[^/:@]+@[^/:]+:)")


def problems(entries: t.Iterable[t.Mapping[str, t.Any]], secret_type: str, variable: str) -> list[str]:
    """What is wrong with the entries, each named by its URL, never with a value that may be secret."""
    found, seen = [], set()
    for entry in entries:
        url = str(entry.get("url") or "")
        place = f"{variable}: {_shown(url)}" if url else variable
        found += [f"{place}: {text}" for text in _of_one(entry, url, secret_type)]
        identity = (_normalized(url), entry.get("project") or "")
        if identity in seen:
            found.append(f"{place} is there twice.")
        seen.add(identity)
    return found


def _of_one(entry: t.Mapping[str, t.Any], url: str, secret_type: str) -> t.Iterator[str]:
    if not url:
        yield "an entry has no url."
        return
    parts = urlsplit(url)
    if parts.password or (parts.scheme in ("http", "https") and parts.username):
        yield "the URL holds a credential, which would be shown. Give it as username and password, or token."
    ways = [name for name, options in _WAYS.items() if any(entry.get(option) for option in options)]
    if len(ways) > 1:
        yield f"both {' and '.join(ways)} are given. Leave one: which of them is meant cannot be known."
    app = [option for option in _WAYS["a GitHub App"] if entry.get(option)]
    if app and len(app) < 3:
        missing = sorted(set(_WAYS["a GitHub App"]) - set(app))
        yield f"a GitHub App needs {', '.join(missing)} too."
    ssh = bool(_SSH.match(url))
    if entry.get("ssh_private_key") and not ssh and parts.scheme in ("http", "https"):
        yield f"ssh_private_key is given for an {parts.scheme}:// address. Use the repository's SSH address."
    if ssh and any(entry.get(option) for option in ("password", "token", "bearer_token", "github_app_id")):
        yield "a password, token or GitHub App is given for an SSH address. Use the repository's https:// address."
    if bool(entry.get("tls_client_cert")) != bool(entry.get("tls_client_key")):
        yield "tls_client_cert and tls_client_key are only of use together."
    if entry.get("type") == "helm" and not entry.get("name") and secret_type == REPOSITORY:
        yield "a Helm repository needs a name."


def _shown(url: str) -> str:
    """The URL without a credential in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def secret(
    entry: t.Mapping[str, t.Any], secret_type: str, namespace: str, existing: t.Iterable[t.Mapping[str, str]]
) -> Object:
    """The Secret of a repository or template.

    :arg entry: One that has no problems.
    :arg existing: The Secrets that are there: one for the same address is used, whatever its name is, as Argo CD does
        not know which of two to take.
    """
    values = dict(entry)
    if values.get("token"):
        values["password"] = values["token"]
        values["username"] = values.get("username") or "git"  # any will do beside a token, but not none
    for option in _PEM:
        if values.get(option):
            values[option] = str(values[option]).rstrip("\n") + "\n"
    data = {
        key: _base64(values[option]) for option, key in _KEYS.items() if values.get(option) not in (None, "", False)
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": _name(entry, secret_type, existing),
            "namespace": namespace,
            "labels": {"argocd.argoproj.io/secret-type": secret_type},
            # Lets Argo CD's own command line and pages delete it.
            "annotations": {"managed-by": "argocd.argoproj.io"},
        },
        "type": "Opaque",
        "data": data,
    }


def _name(entry: t.Mapping[str, t.Any], secret_type: str, existing: t.Iterable[t.Mapping[str, str]]) -> str:
    url, project = str(entry["url"]), str(entry.get("project") or "")
    for other in existing:
        same = (_normalized(other["url"]), other["project"]) == (_normalized(url), project)
        if same and other["type"] == secret_type:
            return other["name"]
    return secret_name(url, project, secret_type)


def secret_name(url: str, project: str, secret_type: str) -> str:
    """The name that Argo CD itself gives such a Secret."""
    prefix = {REPOSITORY: "repo", CREDENTIALS: "creds"}[secret_type]
    return f"{prefix}-{_fnv32a((url + project).encode())}"


def _fnv32a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _normalized(url: str) -> str:
    """Equal for addresses that Argo CD takes for the same repository."""
    text = url.strip().rstrip("/").removesuffix(".git")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text.lower()
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def _base64(value: t.Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return base64.b64encode(text.encode()).decode()

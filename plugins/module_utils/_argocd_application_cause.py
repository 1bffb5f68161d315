# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Argo CD's error texts mean to the user: which setting is wrong, and whether time alone may cure it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import Object, sentence, sources

# Where the message comes from is said by what follows it.
_WRAPPING = re.compile(
    r"^(Failed to load target state: )?(failed to generate manifest for source \d+ of \d+: )?"
    r"(rpc error: code = \w+ desc = )?(Manifest generation error \(cached\): )?(failed to list refs: )?"
)
_MAY_PASS = re.compile(
    r"connection refused|connection reset|i/o timeout|TLS handshake timeout|deadline exceeded|code = Unavailable"
    r"|unexpected EOF|server misbehaving|temporary failure|too many requests|cluster cache",
    re.IGNORECASE,
)
# First match decides; the more telling ones come first.
_CAUSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("revision", re.compile(r"unable to resolve '.*' to a commit|couldn't find remote ref|unknown revision", re.I)),
    ("path", re.compile(r"app path does not exist|no such file or directory|app path is not a directory", re.I)),
    ("project", re.compile(r"referencing project|not permitted in project|is not allowed in project", re.I)),
    (
        "destination",
        re.compile(r"error getting cluster|there are no clusters with this name|cluster .* not found", re.I),
    ),
    (
        "repository",
        re.compile(
            r"repository not found|failed to list refs|authentication required|authorization failed|permission denied"
            r"|does not appear to be a git repository|could not read|no such host|ssh: |SSH agent|unable to ls-remote"
            r"|invalid username or password|unsupported scheme|x509|helm repo|failed to fetch",
            re.I,
        ),
    ),
)
_REMEDIES = {
    "revision": "Set {variable} to a branch, tag or commit that {repository} has.",
    "path": "Set {variable} to a folder that {repository} has at that revision.",
    "project": "Set {variable} to an AppProject that exists and permits this repository and destination.",
    "destination": "Register that cluster in Argo CD, or correct {variable}.",
    "repository": "Check that {repository} exists and that Argo CD can reach it, with a credential if it needs one."
    " It comes from {variable}.",
}
_FIELDS = {
    "revision": "spec.source.targetRevision",
    "path": "spec.source.path",
    "project": "spec.project",
    "destination": "spec.destination",
    "repository": "spec.source.repoURL",
}


def shown(text: str) -> str:
    """The error without the layers it came through."""
    return _WRAPPING.sub("", sentence(text), count=1)


def shown_verdict(text: str) -> str:
    """The same for the text of a verdict, which names the type of each condition before its message."""
    parts = []
    for part in text.split("; "):
        kind, colon, message = part.partition(": ")
        parts.append(f"{kind}: {shown(message)}" if colon and kind.isalpha() and kind.endswith("Error") else part)
    return "; ".join(parts)


def may_pass(text: str) -> bool:
    """Whether waiting may cure it: nobody answered, rather than somebody said no."""
    return bool(_MAY_PASS.search(text))


def cause(text: str) -> str | None:
    """Which part of the definition the error is about."""
    return next((name for name, pattern in _CAUSES if pattern.search(text)), None)


def remedy(app: Object, text: str, variables: t.Mapping[str, str]) -> str:
    """What to do about it.

    :arg variables: For those parts that the user sets by a variable, the variable's name.
    """
    part = cause(text)
    if not part:
        return ""
    repositories = ", ".join(dict.fromkeys(str(source.get("repoURL", "")) for source in sources(app)))
    field = f"{_FIELDS[part]} of Application {app['metadata']['name']}"
    variable = f"the variable {variables[part]}" if part in variables else field
    return _REMEDIES[part].format(repository=repositories or "the repository", variable=variable)


def place(app: Object) -> str:
    """Which repository, revision and path the Application reads."""
    texts = []
    for source in sources(app):
        what = source.get("path") or source.get("chart") or ""
        at = f" at {source['targetRevision']}" if source.get("targetRevision") else ""
        texts.append(f"{source.get('repoURL', '')}{at}" + (f", {what}" if what else ""))
    return " and ".join(texts)

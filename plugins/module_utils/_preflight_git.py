# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of git repositories that the inventory names, asked as Argo CD will ask them: with its credentials only."""

from __future__ import annotations

import contextlib
import difflib
import re
import shlex
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Verdict

NAME = "git repositories"

# A commit, or a range of versions: nothing that a repository lists by name.
_UNLISTED = re.compile(r"[0-9a-f]{7,40}|.*[*^~<>=|, ].*|v?\d+(\.(\d+|x))?(\.x)?")
# Names that only a cluster's own DNS has.
_INSIDE = re.compile(r"\.svc(\.|$)|\.cluster\.local$")

CREDENTIAL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
# Ways to authenticate that take more than asking.
_NOT_TRIED = ("github_app_id", "tls_client_cert")

# What git says, in the order in which it is looked for.
_MEANINGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("unreachable", re.compile(r"not resolve|connection (refused|timed out)|no route|failed to connect|no answer")),
    ("untrusted", re.compile(r"certificate|host key verification")),
    ("refused", re.compile(r"authentication|could not read (username|password)|denied|error: 40[13]")),
    ("absent", re.compile(r"not found|does not exist|not appear to be a git repository|no such file")),
)


@dataclass(frozen=True)
class Target:
    """One repository that one host's Argo CD will read.

    :arg variable: The variable that names it.
    :arg revision: Branch, tag, commit or range of versions; "" where none is named.
    :arg local_reader: Whether Argo CD runs on this machine, and so reaches what is reached from here.
    :arg credential: How Argo CD identifies itself: as in argocd_repositories.
    """

    host: str
    variable: str
    url: str
    revision: str = ""
    revision_variable: str = ""
    local_reader: bool = False
    credential: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The address without a credential in it."""
        return CREDENTIAL.sub("://***@", self.url)

    @property
    def folder(self) -> str:
        """Path of the repository where it is a folder of this machine, "" where it is not."""
        return urlsplit(self.url).path if self.url.startswith("file:") else self.url if self.url.startswith("/") else ""

    def finding(self, found: str, verdict: Verdict = "ok", remedy: str = "", variable: str = "") -> Finding:
        """What was found of it."""
        shown = (variable or self.variable) if verdict != "ok" else ""
        return Finding(NAME, found, verdict, shown, remedy, (self.host,))


def not_to_be_asked(target: Target) -> Finding | None:
    """What can be said of a repository without asking it, None where it is to be asked."""
    host = urlsplit(target.url).hostname or ""
    if CREDENTIAL.search(target.url):
        remedy = "Give it as username and password of an entry of argocd_repositories: an address is shown and logged."
        return target.finding(f"{target.shown} has a credential in its address", "fail", remedy)
    if not target.local_reader and (target.folder or host == "localhost" or host.startswith("127.")):
        remedy = "Give an address that the cluster can reach: Argo CD runs in it, and this machine is another to it."
        return target.finding(f"{target.shown} is on this machine", "fail", remedy)
    if _INSIDE.search(host):
        return target.finding(f"{target.shown} is known only inside the cluster; not asked")
    means = [name for name in _NOT_TRIED if target.credential.get(name)]
    if means:
        return target.finding(f"{target.shown} is read with {means[0]}, which is not tried here; not asked")
    return None


def ask(target: Target, probe: t.Any) -> Iterator[Finding]:
    """Ask one repository for its branches and tags."""
    known = not_to_be_asked(target)
    if known:
        yield known
        return
    with contextlib.ExitStack() as stack:
        options, environment = _identity(target.credential, stack, probe)
        command = ["git", "-c", "credential.helper=", *options, "ls-remote", "--quiet", "--", target.url]
        answer = probe.run(command, environment)
    yield outcome(target, answer.code, answer.output, answer.error)


def _identity(
    credential: Mapping[str, t.Any], stack: contextlib.ExitStack, probe: t.Any
) -> tuple[list[str], dict[str, str]]:
    """Options and environment of git, so that it uses this credential and no other, asks nobody and writes nothing.

    A secret is in the environment or in memory, never in an argument or on a disk.
    """
    options: list[str] = []
    # Host keys are not compared: what is read here is only names, and Argo CD has its own list of keys.
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, int(probe.timeout))}"]
    ssh += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "LC_ALL": "C"}
    password = credential.get("password") or credential.get("token")
    if password:
        environment["PREFLIGHT_USERNAME"] = str(credential.get("username") or "git")
        environment["PREFLIGHT_PASSWORD"] = str(password)
        # The text is git's to run: it holds the names of the variables, not their values.
        helper = '!f() { echo "username=$PREFLIGHT_USERNAME"; echo "password=$PREFLIGHT_PASSWORD"; }; f'
        options = ["-c", f"credential.helper={helper}"]
    if credential.get("bearer_token"):
        environment["GIT_CONFIG_COUNT"], environment["GIT_CONFIG_KEY_0"] = "1", "http.extraHeader"
        environment["GIT_CONFIG_VALUE_0"] = f"Authorization: Bearer {credential['bearer_token']}"
    if credential.get("ssh_private_key"):
        key = stack.enter_context(probe.private_file(str(credential["ssh_private_key"]).rstrip("\n") + "\n"))
        if key:
            ssh += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", key]
    if credential.get("insecure"):
        environment["GIT_SSL_NO_VERIFY"] = "true"
    if credential.get("proxy"):
        environment["https_proxy"] = environment["http_proxy"] = str(credential["proxy"])
    environment["GIT_SSH_COMMAND"] = shlex.join(ssh)
    return options, environment


def outcome(target: Target, code: int | None, output: str, error: str) -> Finding:
    """What an answer of `git ls-remote` means.

    :arg code: Its exit code, None where it did not end in time.
    """
    if code == 0:
        return _revision(target, [line.split("\t")[-1] for line in output.splitlines() if "\t" in line])
    said = _said(error)
    meaning = next((name for name, pattern in _MEANINGS if pattern.search(error.lower())), "unreachable")
    again = f"`git ls-remote {shlex.quote(target.shown)}` must answer"
    if meaning == "absent":
        remedy = f"Set it to the address of a repository that exists: {again}."
        return target.finding(f"there is no git repository at {target.shown} ({said})", "fail", remedy)
    if meaning == "refused":
        whose = "the credential it has for it" if target.credential else "no credential for it"
        remedy = f"Correct the address, or give its credential in argocd_repositories: {again}."
        return target.finding(f"{target.shown} refuses Argo CD, which has {whose} ({said})", "fail", remedy)
    if target.local_reader and meaning == "unreachable":
        remedy = f"Correct the address, or open the way to it: {again}."
        return target.finding(f"{target.shown} cannot be reached ({said})", "fail", remedy)
    what = "is not trusted" if meaning == "untrusted" else "cannot be reached"
    remedy = "Argo CD may see it otherwise than this machine does. If not, correct the address or the trust."
    return target.finding(f"{target.shown} {what} from here ({said})", "warn", remedy)


def _revision(target: Target, references: list[str]) -> Finding:
    """Whether the repository has the revision."""
    revision = target.revision
    if not references:
        remedy = "Commit something to it and push."
        return target.finding(f"{target.shown} is empty", "fail", remedy)
    names = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in references]
    if not revision or revision in (*names, *references) or _UNLISTED.fullmatch(revision):
        return target.finding(f"{target.shown} answers" + (f", and has {revision}" if revision in names else ""))
    close = difflib.get_close_matches(revision, names, 1)
    branches = [name.removeprefix("refs/heads/") for name in references if name.startswith("refs/heads/")]
    remedy = (f"Did you mean {close[0]}? " if close else "") + f"Its branches are: {', '.join(branches[:8])}."
    found = f"{target.shown} has no branch or tag {revision}"
    return target.finding(found, "fail", remedy, target.revision_variable)


def _said(error: str) -> str:
    """The telling part of git's complaint."""
    lines = [line.strip() for line in CREDENTIAL.sub("://***@", error).splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "ERROR", "remote:"))] or lines[-1:]
    return " ".join(fatal[0].removeprefix("fatal:").split()).rstrip(".") if fatal else "it says nothing"

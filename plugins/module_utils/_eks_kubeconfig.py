# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kubeconfig of an EKS cluster. It holds no credential: its user is a program that asks the AWS chain."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_token import API
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import DUMPER, yaml

_REHEARSAL = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody"}
"""What the look-alike on this machine takes, which are no credentials of anybody."""


@dataclass(frozen=True)
class Connection:
    """How one cluster is reached.

    :arg context: Name of context, cluster and user.
    :arg authority: Its certificate authority, as EKS gives it (base64).
    :arg command: The program and its arguments.
    :arg endpoint_url: Where the look-alike of AWS is, if it is one.
    """

    context: str
    address: str
    authority: str
    command: tuple[str, ...]
    endpoint_url: str = ""

    def text(self) -> str:
        """The file."""
        execute: dict[str, t.Any] = {
            "apiVersion": API,
            "command": self.command[0],
            "args": list(self.command[1:]),
            "interactiveMode": "Never",
        }
        if is_loopback(self.address):
            # So that it works in any shell, whatever that has in its environment.
            environment = {**_REHEARSAL, "AWS_ENDPOINT_URL": self.endpoint_url}
            execute["env"] = [{"name": name, "value": value} for name, value in sorted(environment.items()) if value]
        cluster = {"server": self.address, "certificate-authority-data": self.authority}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.context,
            "contexts": [{"name": self.context, "context": {"cluster": self.context, "user": self.context}}],
            "clusters": [{"name": self.context, "cluster": cluster}],
            "users": [{"name": self.context, "user": {"exec": execute}}],
        }
        return str(yaml.dump(document, Dumper=DUMPER, sort_keys=False))


def is_loopback(url: str) -> bool:
    """Whether it leads to this machine: then it is a rehearsal."""
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def write(path: str, text: str, check_mode: bool) -> tuple[bool, str]:
    """Whether the file is or would be changed, and what it was before. It is for its owner only.

    :raises HubspokeError: it cannot be written.
    """
    target = pathlib.Path(path).expanduser()
    try:
        before = target.read_text(encoding="utf-8") if target.exists() else ""
        private = target.exists() and not target.stat().st_mode & 0o077
        if before == text and private:
            return False, before
        if not check_mode:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(target)
    except OSError as error:
        raise HubspokeError(
            f"The kubeconfig {target} cannot be written: {error}.", "Check the folder and its owner."
        ) from error
    return True, before


def remove(path: str, check_mode: bool) -> bool:
    """Whether there was one."""
    target = pathlib.Path(path).expanduser()
    if not target.exists():
        return False
    if not check_mode:
        target.unlink()
        if not any(target.parent.iterdir()):
            target.parent.rmdir()
    return True

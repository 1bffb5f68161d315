# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kubernetes versions as EKS writes them, 1.34, and which of them can follow which."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError


def minor(version: str) -> int:
    """The second number, which is the one that counts.

    :raises HubspokeError: it is no such version.
    """
    found = re.fullmatch(r"1\.(\d{2,})", version)
    if not found:
        raise HubspokeError(
            f"{version!r} is not a Kubernetes version of EKS.",
            'Write it as "1.30", in quotes: without them YAML makes a number of it, and 1.30 is 1.3.',
        )
    return int(found[1])


def refuse_unless_next(what: str, actual: str, wanted: str) -> None:
    """EKS takes one minor version at a time, and none back.

    :arg what: What is to be upgraded.
    :raises HubspokeError: the wanted version is lower, or further away.
    """
    here, there = minor(actual), minor(wanted)
    if there < here:
        raise HubspokeError(
            f"The {what} has version {actual}, and cannot go back to {wanted}.",
            f'Set version to "{actual}", or leave it out.',
            version=actual,
        )
    if there > here + 1:
        path = [f"1.{number}" for number in range(here, there + 1)]
        raise HubspokeError(
            f"The {what} has version {actual}, and EKS upgrades by one minor version at a time: {' → '.join(path)}.",
            f'Set version to "{path[1]}" first, add-ons and node groups included.',
            version=actual,
            path=path,
        )


def newest_first(versions: t.Iterable[str]) -> list[str]:
    """Versions of anything (1.34, v1.12.3-eksbuild.1), by their numbers."""
    return sorted(versions, key=lambda version: [int(number) for number in re.findall(r"\d+", version)], reverse=True)

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a Kubernetes object may be shown."""

from __future__ import annotations

import typing as t

REDACTED = "<redacted>"
REDACTED_CHANGED = "<redacted, changed>"

_SECRET_FIELDS = ("data", "stringData")


def is_secret(value: t.Any) -> bool:
    """Whether this is a core/v1 Secret, in whatever state of completeness."""
    return isinstance(value, dict) and value.get("kind") == "Secret"


def without_secrets(value: t.Any) -> t.Any:
    """A copy in which no Secret, however deep it lies, shows a value; its keys stay."""
    if isinstance(value, dict):
        copy = {key: without_secrets(item) for key, item in value.items()}
        if is_secret(value):
            for field in _SECRET_FIELDS:
                if field in value:
                    copy[field] = _hidden(value[field])
            _drop_last_applied(copy)
        return copy
    if isinstance(value, (list, tuple)):
        return [without_secrets(item) for item in value]
    return value


def redacted_pair(before: dict[str, t.Any], after: dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Both sides of a difference without values, but with a mark on those that changed."""
    shown_before, shown_after = without_secrets(before), without_secrets(after)
    if is_secret(after):
        for field in _SECRET_FIELDS:
            old, new = before.get(field), after.get(field)
            if isinstance(old, dict) and isinstance(new, dict):
                for key in new:
                    if key in old and old[key] != new[key]:
                        shown_after[field][key] = REDACTED_CHANGED
    return shown_before, shown_after


def _hidden(values: t.Any) -> t.Any:
    return dict.fromkeys(values, REDACTED) if isinstance(values, dict) else REDACTED


def _drop_last_applied(secret: dict[str, t.Any]) -> None:
    """kubectl's client-side apply keeps a copy of the whole Secret in an annotation."""
    metadata = secret.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        metadata["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)

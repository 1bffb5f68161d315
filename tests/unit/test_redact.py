# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets do not show, wherever they lie."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import without_secrets

CANARY = "canary-7f3a"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "visible",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY, "kept": "yes"},
    },
    "data": {"key": CANARY},
    "stringData": {"other": CANARY},
}


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        [SECRET],
        {"definitions": [{"kind": "List", "items": [SECRET]}]},
        {**SECRET, "data": CANARY},
        {**SECRET, "metadata": None},
    ],
)
def test_no_value_of_a_secret_is_left(value: t.Any) -> None:
    assert CANARY not in json.dumps(without_secrets(value))


def test_all_else_is_left_as_it_is() -> None:
    shown = without_secrets(SECRET)
    assert shown["metadata"] == {"name": "visible", "annotations": {"kept": "yes"}}
    assert list(shown["data"]) == ["key"]
    config = {"kind": "ConfigMap", "data": {"key": CANARY}}
    assert without_secrets(config) == config

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests of the scenario `eks` look at besides: its environment, and the look-alike of AWS."""

from __future__ import annotations

import json
import os
import typing as t
import urllib.request

import bootstrapped
import yaml

HUB, SPOKE = "lionpay-seoul", "lionpay-tokyo"
REGIONS = {HUB: "ap-northeast-2", SPOKE: "ap-northeast-1"}
Object = dict[str, t.Any]


def environment() -> dict[str, str]:
    """What the scenario sets for every run."""
    text = (bootstrapped.ROOT / "molecule/eks/molecule.yml").read_text(encoding="utf-8")
    values = {
        "${MOLECULE_PROJECT_DIRECTORY}": str(bootstrapped.ROOT),
        "${MOLECULE_EPHEMERAL_DIRECTORY}": os.environ["MOLECULE_EPHEMERAL_DIRECTORY"],
    }
    for name, value in values.items():
        text = text.replace(name, value)
    found: dict[str, str] = yaml.safe_load(text)["ansible"]["env"]
    return found


def calls(method: str = "GET") -> Object:
    """How often AWS was called since the last DELETE."""
    address = f"{environment()['AWS_ENDPOINT_URL']}/local-aws/calls"
    with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=30) as answer:
        found: Object = json.loads(answer.read() or b"{}")
    return found

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rehearsal of production's two regions: how long, again, how often AWS is asked, throttled, and side by side.

The bars of this benchmark are seconds and numbers of calls: there is nothing else that does the same.
"""

from __future__ import annotations

import collections.abc
import json
import pathlib
import re
import sys
import tempfile
import typing as t
import urllib.request

from programs import seconds
from run import ROOT, Figure

PORT, CONTROLLERS = 24570, 25150
ADDRESS = f"http://127.0.0.1:{PORT}"
REGIONS = ("seoul", "tokyo")
SLOW = 60
"""Seconds that the look-alike takes for a control plane where regions are compared."""


def figures() -> collections.abc.Iterator[Figure]:
    """Each rehearsal begins with nothing."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(pathlib.Path(name))
        try:
            yield from measured(bench)
        finally:
            bench.forget()


def measured(bench: Bench) -> collections.abc.Iterator[Figure]:
    """In the order in which one leads to the next."""
    yield Figure("eks", bench.rehearse(), None, 180, "seconds of a rehearsal of both regions, to all Healthy")
    bench.calls("DELETE")
    again = bench.rehearse(changed=0)
    found = bench.calls()
    yield Figure("eks_again", again, None, 45, "seconds of the same again, changed=0")
    yield Figure("eks_calls", found["total"], None, 60, "calls to AWS of that run")
    yield Figure("eks_writes", found["writes"], None, 0, "of these, calls that write")
    bench.forget()

    bench.rehearse(settings={"local_aws_throttle": 0.1})
    found = bench.calls()
    bench.forget()
    assert found["throttled"], found
    share = found["throttled"] / found["total"]
    yield Figure("eks_throttled", share, None, 0.2, "share of calls throttled in a run that succeeded all the same")

    slow = {"local_aws_cluster_seconds": SLOW}
    one = bench.rehearse(REGIONS[:1], slow)
    bench.forget()
    both = bench.rehearse(REGIONS, slow)
    bench.forget()
    yield Figure("eks_side_by_side", both, one, 1.25, f"two regions / one, where a control plane takes {SLOW} s")


class Bench:
    """A rehearsal with a state folder and ports of its own.

    :arg folder: For all that it makes.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._environment = {
            "AWS_ENDPOINT_URL": ADDRESS,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
            "HUBSPOKE_REPOSITORY": f"file://{folder}/platform",
        }

    def rehearse(
        self, regions: t.Sequence[str] = REGIONS, settings: dict[str, t.Any] | None = None, changed: int | None = None
    ) -> float:
        """Seconds of a rehearsal.

        :arg settings: Variables of role local_aws.
        :arg changed: How many tasks are to change anything.
        """
        taken, said = self._play("rehearse", regions, settings or {})
        counts = [int(count) for count in re.findall(r"changed=(\d+)", said)]
        assert changed is None or sum(counts) == changed, said
        return taken

    def forget(self) -> None:
        """Take all of it down."""
        self._play("rehearse_teardown", REGIONS, {})

    def calls(self, method: str = "GET") -> dict[str, t.Any]:
        """What AWS was asked since the last DELETE."""
        request = urllib.request.Request(f"{ADDRESS}/local-aws/calls", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return t.cast("dict[str, t.Any]", json.loads(answer.read() or b"{}"))

    def _play(self, name: str, regions: t.Sequence[str], settings: dict[str, t.Any]) -> tuple[float, str]:
        values = {"hubspoke_state_dir": str(self._folder / "state"), "local_controllers_port_base": CONTROLLERS}
        command = [sys.executable, "-m", "ansible", "playbook", str(ROOT / f"playbooks/{name}.yml")]
        command += [f"--inventory={ROOT / 'inventories' / region}" for region in regions]
        return seconds([*command, "--extra-vars", json.dumps({**values, **settings})], self._environment)

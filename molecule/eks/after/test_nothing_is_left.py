# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the teardown of a rehearsal."""

from __future__ import annotations

import bootstrapped


def test_no_process() -> None:
    assert bootstrapped.processes() == {}


def test_no_state() -> None:
    assert not bootstrapped.STATE.exists()

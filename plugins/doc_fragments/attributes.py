# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all modules here have in common, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts the run without changing anything.
    support: full
  diff_mode:
    description: Shows what changed or would change, secrets redacted.
    support: full
  in_process:
    description:
      - Runs inside Ansible's worker where the connection is local, the interpreter is Ansible's own, and neither become,
        environment nor async ask for a process of its own; otherwise as any module, with the same result.
    support: full
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing.
    support: N/A
  in_process:
    description:
      - Runs inside Ansible's worker where the connection is local, the interpreter is Ansible's own, and neither become,
        environment nor async ask for a process of its own; otherwise as any module, with the same result.
    support: full
"""

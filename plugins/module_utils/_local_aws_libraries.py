# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""botocore, where it is installed: tools import these files where nothing is. Who starts the process looks first."""

from __future__ import annotations

try:
    import botocore.session
    from botocore.validate import ParamValidator
except ImportError:
    botocore = ParamValidator = None

__all__ = ["ParamValidator", "botocore"]

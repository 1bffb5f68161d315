# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the look-alike of AWS needs of others, in one place: tools import these files where nothing is installed."""

from __future__ import annotations

IMPORT_ERROR: ImportError | None = None
try:
    import botocore.session
    from botocore.validate import ParamValidator
    from werkzeug.wrappers import Request, Response
except ImportError as error:
    IMPORT_ERROR = error
    Request = Response = ParamValidator = None  # type: ignore[assignment, misc]

__all__ = ["IMPORT_ERROR", "ParamValidator", "Request", "Response", "botocore"]

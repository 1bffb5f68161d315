# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one import of PyYAML: ansible-core and kubernetes.core have it, the tools that only read documentation may not.

Use as `from ..._yaml import LOADER, yaml` and `yaml.load(text, Loader=LOADER)`.
"""

from __future__ import annotations

import typing as t

yaml: t.Any
LOADER: t.Any
DUMPER: t.Any
"""Safe ones, over libyaml where it is there: it takes a sixteenth of the time."""

IMPORT_ERROR: ImportError | None = None
try:
    import yaml
except ImportError as error:
    IMPORT_ERROR = error
    yaml = LOADER = DUMPER = None
else:
    LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

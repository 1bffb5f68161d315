# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about encrypted files have in common, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  root:
    description: Folder of the configuration, where C(.sops.yaml) is; the files are in it or below it.
    type: path
    required: true
  age_key_file:
    description:
      - File of the private key. By default it is found as sops finds it - E(SOPS_AGE_KEY_FILE), E(SOPS_AGE_KEY_CMD),
        E(SOPS_AGE_KEY), C(sops/age/keys.txt) in E(XDG_CONFIG_HOME) or C(~/.config), and an SSH key named by
        E(SOPS_AGE_SSH_PRIVATE_KEY_FILE).
      - No other key of age's is tried beside it. Keys in a KMS work as sops finds them.
    type: path
  sops:
    description: The sops to use; 3.9 or later.
    type: path
    default: sops
  age_keygen:
    description: The age-keygen to use, which is asked for recipients of post-quantum keys.
    type: path
    default: age-keygen
requirements:
  - sops >= 3.9
  - PyYAML >= 5.4
"""

    PATTERNS = r"""
options:
  files:
    description: Only these; all files whose names fit O(patterns) by default.
    type: list
    elements: path
  patterns:
    description: Names of the files that have to be encrypted. Hidden folders are passed over.
    type: list
    elements: str
    default:
      - "*.secrets.enc.yaml"
      - "*.secrets.enc.yml"
      - "*.secrets.enc.json"
      - "*.secrets.enc.env"
      - "*.secrets.enc.ini"
"""

# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypted files as sops writes them, with nothing behind their values."""

from __future__ import annotations

# The examples of age's own manual.
IDENTITY = "AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9"
ONE = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"
TWO = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
VALUE = "ENC[AES256_GCM,data:aGVsbG8=,iv:aXY=,tag:dGFn,type:str]"


def encrypted(*recipients: str, body: str = f"password: {VALUE}\n", more: str = "", mac: bool = True) -> str:
    """A YAML file for these recipients."""
    keys = "".join(f"        - recipient: {each}\n          enc: x\n" for each in recipients)
    lines = f"    mac: {VALUE}\n" if mac else ""
    age = f"    age:\n{keys}" if recipients else "    age: []\n"
    return f"{body}sops:\n{age}    lastmodified: '2026-01-01T00:00:00Z'\n{lines}{more}    version: 3.13.3\n"

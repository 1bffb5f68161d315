# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bech32 as age uses it (no limit of length), and the recipient of an X25519 identity.

Preflight compares keys with files before the first program is there to be asked; tests hold this against age-keygen.
"""

from __future__ import annotations

import typing as t

X25519PrivateKey: t.Any
try:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
except ImportError:
    X25519PrivateKey = None

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def decode(text: str) -> tuple[str, bytes] | None:
    """Prefix and content, None where it is no Bech32 or a character of it is wrong."""
    if text not in (text.lower(), text.upper()):
        return None
    prefix, one, rest = text.lower().rpartition("1")
    if not one or not prefix or len(rest) < _CHECKSUM or set(rest) - set(_ALPHABET):
        return None
    values = [_ALPHABET.index(character) for character in rest]
    if _polymod(_expanded(prefix) + values) != 1:
        return None
    content = _regrouped(values[:-_CHECKSUM], 5, 8, pad=False)
    return None if content is None else (prefix, bytes(content))


def encode(prefix: str, content: bytes) -> str:
    """The text of that content."""
    values = _regrouped(content, 8, 5, pad=True) or []
    checksum = _polymod(_expanded(prefix) + values + [0] * _CHECKSUM) ^ 1
    values += [checksum >> 5 * (5 - place) & 31 for place in range(_CHECKSUM)]
    return f"{prefix}1" + "".join(_ALPHABET[value] for value in values)


def x25519_recipient(identity: str) -> str | None:
    """The recipient of an identity `AGE-SECRET-KEY-1...`; None where it is of another kind, or this cannot tell."""
    found = decode(identity)
    if X25519PrivateKey is None or found is None or found[0] != "age-secret-key-" or len(found[1]) != 32:
        return None
    public = X25519PrivateKey.from_private_bytes(found[1]).public_key().public_bytes_raw()
    return encode("age", public)


def _expanded(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            check ^= generator if top >> place & 1 else 0
    return check


def _regrouped(values: t.Iterable[int], old: int, new: int, *, pad: bool) -> list[int] | None:
    """Numbers of `old` bits as numbers of `new` bits; None where what is left over is no padding."""
    result, held, bits = [], 0, 0
    for value in values:
        held = held << old | value
        bits += old
        while bits >= new:
            bits -= new
            result.append(held >> bits & (1 << new) - 1)
        held &= (1 << bits) - 1
    if pad and bits:
        result.append(held << new - bits & (1 << new) - 1)
    elif not pad and (bits >= old or held):
        return None
    return result

"""Checksums beside what is stored: in a line, in a JSON document, of a file, of a named thing. It
knows nothing of what they are of.

They find damage, not intent: whoever alters a file can make its checksum again. What answers say is
checked against their texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from binascii import hexlify
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from lm_eval_safescale.json_text import decode_json

LINE, DOCUMENT = "crc32", "sha256"
"""Names of the last member of a line and of a document."""
_OPENS = f',"{LINE}":"'.encode()
_SUM = len(b'00000000"}')
FINGERPRINT, NAMES = "fingerprint", ("name", "version")
"""Of a description: the SHA-256 of a content, and by what names that goes."""
LENGTH = len(_OPENS) + _SUM
"""Bytes that stand behind all else in a line."""
_END = re.compile(rf',\n "{DOCUMENT}": "([^"]*)"\n\}}\n?'.encode())
_END_LENGTH = len(f',\n "{DOCUMENT}": "{"0" * 64}"\n}}\n')


class ChecksumError(ValueError):
    """What is stored is not what its checksum was made of."""


def with_checksum(line: bytes) -> bytes:
    """A JSON object in one line, not an empty one, with its CRC-32 as the last member.

    A CRC-32 differs for each single flipped bit and each damaged stretch of up to 32 bits, and of
    others for all but one in 2^32.
    """
    body = line[:-1]
    return b'%b%b%08x"}' % (body, _OPENS, crc32(body))


def is_whole(line: bytes) -> bool | None:
    """Whether a line is what its checksum was made of; None where it does not end as
    `with_checksum` ends it, and bears none."""
    if line[-LENGTH:-_SUM] != _OPENS or line[-2:] != b'"}':
        return None
    return hexlify(crc32(line[:-LENGTH]).to_bytes(4)) == line[-_SUM:-2]


def document_of(value: Mapping[str, Any]) -> bytes:
    """A JSON object, not an empty one, for people to read, with the SHA-256 of its bytes as the
    last member."""
    try:
        content = json.dumps(value, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError:
        # half a surrogate pair, as Python reads an argument that is no UTF-8
        content = json.dumps(value, indent=1).encode()
    body = content[: -len("\n}")]
    return b'%b,\n "%b": "%b"\n}\n' % (
        body,
        DOCUMENT.encode(),
        hashlib.sha256(body).hexdigest().encode(),
    )


def read_document(content: bytes) -> tuple[dict[str, Any], bool]:
    """What a document says, without its checksum, and whether it bears one (those of older formats
    bear none).

    Raises
    ------
    ChecksumError
        If it is not what its checksum was made of.
    ValueError
        If it is no JSON object.
    """
    end = _END.search(content, max(0, len(content) - 2 * _END_LENGTH))
    if end is not None:
        made_of = hashlib.sha256(content[: end.start()]).hexdigest()
        if end.end() < len(content) or made_of.encode() != end[1]:
            raise ChecksumError("it is not what its checksum was made of")
    value = decode_json(content, names_once=False)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    if end is not None:
        value.pop(DOCUMENT, None)
    return value, end is not None


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def only_names(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Fields that tell nothing apart, since they name what both descriptions have the same
    fingerprint of.

    `fingerprint` is of what `name` and `version` stand for, `X_fingerprint` of what `X` does.
    """
    same = [
        field
        for field in one
        if field.endswith(FINGERPRINT) and one[field] is not None and one[field] == other.get(field)
    ]
    return {
        name
        for field in same
        for name in (NAMES if field == FINGERPRINT else (field.removesuffix(f"_{FINGERPRINT}"),))
    }


def are_alike(one: Any, other: Any) -> bool:
    """Whether two descriptions (JSON values) are of the same: what is told by a fingerprint may
    have moved or been renamed."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        fields = {*one, *other} - only_names(one, other)
        return all(are_alike(one.get(field), other.get(field)) for field in fields)
    return bool(one == other)

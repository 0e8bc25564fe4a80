"""Data as classic scripts, which is all that a page from disk may load. It knows no case."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

FOLDER = "cases"
CALL = "safescaleData"
"""The function of `assets/cases/data.js` that takes what a script holds."""
_HALF = re.compile("[\ud800-\udfff]")


def as_json(value: Any) -> bytes:
    """UTF-8, half characters replaced."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _HALF.sub("\ufffd", text).encode()


def write_script(folder: Path, name: str, content: bytes) -> int:
    """Write FOLDER/cases/NAME.js, compressed; its size.

    In base64 nothing of a run can end the script or say anything in it.
    """
    packed = base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
    text = f'{CALL}("{name}","{packed}");\n'
    (folder / FOLDER / f"{name}.js").write_text(text, "ascii")
    return len(text)

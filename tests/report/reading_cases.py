"""The case browser's files read again, by what is said of their form: a second implementation."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from pathlib import Path
from typing import Any


def content_of(folder: Path, name: str) -> bytes:
    """What a script holds."""
    text = (folder / "cases" / f"{name}.js").read_text("ascii")
    found = re.fullmatch(r'safescaleData\("([a-z0-9-]+)","([A-Za-z0-9+/=]+)"\);\n', text)
    assert found is not None
    assert found[1] == name
    return gzip.decompress(base64.b64decode(found[2]))


def index_of(folder: Path) -> dict[str, Any]:
    """The head, with `answers`: by model and condition a list of code, confidence and kinds."""
    content = content_of(folder, "index")
    (size,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + size])
    place, n = 4 + size, len(head["items"])

    def take(width: int) -> list[int]:
        nonlocal place
        values = struct.unpack_from(f"<{n}{'_BH_I'[width]}", content, place)
        place += n * width
        return list(values)

    for group in head["groups"]:
        group["of"] = [([None, *group["values"]])[code] for code in take(2)]
    width, bits = head["widths"]
    head["answers"] = {
        (head["models"][model]["name"], head["conditions"][condition]["name"]): list(
            zip(take(width), take(1), take(bits), strict=True)
        )
        for model, condition, _ in head["pairs"]
    }
    assert place == len(content)
    return head


def shards_of(folder: Path, name: str) -> list[Any]:
    """Items or contexts of all shards, in order."""
    found, number = [], 0
    while (folder / "cases" / f"{name}-{number}.js").exists():
        found += json.loads(content_of(folder, f"{name}-{number}"))
        number += 1
    return found


def answers_of(folder: Path, number: int) -> Any:
    """What is stored of the answers of a pair."""
    return json.loads(content_of(folder, f"answers-{number}"))

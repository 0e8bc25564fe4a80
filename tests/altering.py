"""Changes what is stored and makes its checksums again, as someone would who tampers; and flips
bits, as a disk does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.checksums import (
    document_of,
    is_whole,
    read_document,
    sha256_of,
    with_checksum,
)


def alter_document(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a sealed JSON document in place."""
    value, _ = read_document(path.read_bytes())
    change(value)
    path.write_bytes(document_of(value))


def alter_lines(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change each line of a log in place."""
    lines = []
    for raw in path.read_bytes().splitlines():
        value = json.loads(raw)
        value.pop("crc32", None)
        change(value)
        data = json.dumps(value, separators=(",", ":")).encode()
        lines.append(data if is_whole(raw) is None else with_checksum(data))
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def make_sums_again(folder: Path) -> None:
    """Let about.json say of every file what it is now."""
    alter_document(
        folder / "about.json",
        lambda about: about["files"].update(
            {name: sha256_of(folder / name) for name in about["files"]}
        ),
    )


def alter_table(folder, change, name="answers.parquet"):
    """Change the table, and let about.json say so."""
    path = folder / name
    change(pl.read_parquet(path)).write_parquet(path, metadata=pl.read_parquet_metadata(path))
    make_sums_again(folder)


def flipped(folder: Path, times: int, seed: int = 0) -> Iterator[tuple[Path, int]]:
    """Flip one bit after the other in the files of a folder, each file in turn; it is mended before
    the next one is flipped."""
    draw = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(times):
        path = files[number % len(files)]
        content = path.read_bytes()
        bit = draw.randrange(len(content) * 8)
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        yield path, bit
        path.write_bytes(content)

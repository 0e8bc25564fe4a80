"""What a folder of `safescale run` still says of its run and its answers, however damaged it is. It
writes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.importing.parts import no_collection
from lm_eval_safescale.runs.description import RUN, new_description, read_run
from lm_eval_safescale.runs.held import FirstDraws
from lm_eval_safescale.runs.lines import Known, Line, Shard, fault_of, read_shard, shards_of


@dataclass(frozen=True, slots=True)
class Recovered:
    """What is left of a run."""

    description: Mapping[str, Any] | None
    """As `run.json` says it, or the headers of the answers; None where neither is left."""
    problem: str | SafescaleError
    """What is wrong with `run.json`; empty where nothing is."""
    shards: Sequence[Shard]
    unread: Mapping[str, str]
    """Files of answers that cannot be read, and why."""

    def lines(self, known: Known | None = None) -> list[tuple[Line, str | None]]:
        """All whole lines of the run, each draw once, with the version of what read them, where
        that is known; to be asked for once."""
        first = FirstDraws()
        lines = [
            (line, version)
            for shard in self.own
            for line, version in _with_versions(shard)
            if not fault_of(line, known) and first.of(line)
        ]
        return [
            (line, version) for line, version in lines if line.draws or line.failed
        ]  # a later one may take all draws of one

    @property
    def own(self) -> list[Shard]:
        """Files of answers, but for those that say that they are of another run."""
        identity = (self.description or {}).get("identity")
        return [
            shard
            for shard in self.shards
            if all(header["identity"] == identity for header in shard.headers)
        ]

    @property
    def strangers(self) -> list[Path]:
        """The others."""
        own = {shard.path for shard in self.own}
        return [shard.path for shard in self.shards if shard.path not in own]


def recover(folder: Path) -> Recovered:
    """What is left in a folder; nothing is raised for damage."""
    shards: list[Shard] = []
    unread: dict[str, str] = {}
    paths: list[Path] = []
    try:
        paths = shards_of(folder)
    except SafescaleError as error:
        unread[str(folder)] = str(error)
    with no_collection():
        for path in paths:
            try:
                shards.append(read_shard(path))
            except SafescaleError as error:
                unread[path.name] = str(error)
    try:
        return Recovered(read_run(folder), "", shards, unread)
    except SafescaleError as error:
        problem = error if (folder / RUN).exists() else f"{folder / RUN}: no such file"
        return Recovered(_of_headers(shards), problem, shards, unread)


def _of_headers(shards: Sequence[Shard]) -> dict[str, Any] | None:
    """What the headers say: the identity that most of them give, every condition as it was last
    described, and each start."""
    headers = [header for shard in shards for header in shard.headers]
    if not headers:
        return None
    (identity, _), *_ = Counter(
        json.dumps(header["identity"], sort_keys=True) for header in headers
    ).most_common(1)
    description = new_description(json.loads(identity))
    for header in headers:
        if header["identity"] == description["identity"]:
            description["conditions"] |= header["conditions"]
            _add_start(description["starts"], header["start"])
    return description


def _add_start(starts: list[dict[str, Any]], start: dict[str, Any]) -> None:
    """Later headers of a start say more of it."""
    for place, known in enumerate(starts):
        if known.items() <= start.items():
            starts[place] = start
            return
    starts.append(start)


def _with_versions(shard: Shard) -> list[tuple[Line, str | None]]:
    version = None
    with suppress(IndexError):
        version = shard.headers[0]["start"].get("reader_version")
    return [(line, version) for line in shard.lines]


def name_of(description: Mapping[str, Any], otherwise: str = "") -> str:
    """What the model is called in tables."""
    given = next(
        (start["name"] for start in reversed(description["starts"]) if start.get("name")), ""
    )
    model = description["identity"].get("model") or {}
    return str(
        given
        or otherwise
        or model.get("pretrained")
        or model.get("model")
        or model.get("backend")
        or "model"
    )

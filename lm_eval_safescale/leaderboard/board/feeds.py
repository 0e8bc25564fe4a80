"""A board for programs: `board.csv`, a row for each metric of an entry, and `board.json`, all of
it. It computes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from lm_eval_safescale.analysis.writing import as_csv
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.leaderboard.board.result import Board, Comparison, Entry, Place

CSV, JSON = "board.csv", "board.json"
FORMAT, MARK = 1, "safescale_board"
OF_ENTRY = (
    "label", "file", "name", "revision", "model_family", "parameters_b", "verdict", "level",
    "attempts", "demo", "root", "made_at", "family", "dataset", "dataset_fingerprint",
    "judge",
)  # fmt: skip
OF_PLACE = (
    "condition", "metric", "draws", "value", "lo", "hi", "n", "rank", "rank_lo", "rank_hi",
    "is_best",
)  # fmt: skip
COLUMNS = (*OF_ENTRY, *OF_PLACE, "reason")


def csv_of(board: Board) -> str:
    """Rows of `COLUMNS`: one for each entry, condition and metric; one without numbers, with its
    first reason, for each that is not verified. No cell is a formula to a spreadsheet."""
    return as_csv([*_rows(board)], COLUMNS)


def json_of(board: Board) -> str:
    """Entries with flags, reasons and every recomputed number; comparisons with places, fronts,
    gaps and disputed items; history."""
    value = {
        MARK: FORMAT,
        **board.about,
        "demo": board.demo,
        "entries": [
            {**msgspec.to_builtins(entry), "conditions": list(entry.conditions)}
            for entry in board.entries
        ],
        "comparisons": [_comparison(each) for each in board.comparisons],
        "history": msgspec.to_builtins(board.history),
    }
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        name: msgspec.to_builtins(getattr(comparison, name))
        for name in comparison.__dataclass_fields__
        if name != "study"
    }


def _rows(board: Board) -> Iterator[Row]:
    places: dict[tuple[str, str], list[Place]] = {}
    for comparison in board.comparisons:
        for place in comparison.places:
            places.setdefault((comparison.key, place.label), []).append(place)
    for entry in board.entries:
        own = places.get((entry.comparison, entry.label), ())
        for place in own:
            yield _row(entry, place)
        if not own:
            yield _row(entry, None)


def _row(entry: Entry, place: Place | None) -> Row:
    card, data = entry.card, entry.dataset
    reason = next((each for each in entry.reasons if each.verdict != "noted"), None)
    known = {
        **{name: card.get(name) for name in ("name", "revision", "model_family", "parameters_b")},
        **{name: getattr(entry, name) for name in ("label", "file", "attempts", "demo", "made_at")},
        "verdict": entry.verdict.value,
        "level": entry.level and entry.level.value,
        "root": entry.root or None,
        "family": data.get("family"),
        "dataset": data.get("name"),
        "dataset_fingerprint": data.get("fingerprint"),
        "judge": entry.judge or None,
        "draws": None if place is None else entry.draws.get(place.condition),
        "reason": reason and f"{reason.where}: {reason.what}",
    }
    return {name: known[name] if name in known else getattr(place, name, None) for name in COLUMNS}

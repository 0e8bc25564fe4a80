"""Boards made of the runs of a study, each model an entry: what pages are made from, without a
submission.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_safescale.analysis import Study, make_tables, open_runs, preset_named
from lm_eval_safescale.leaderboard.board.result import (
    Board,
    BuildRecord,
    Change,
    Comparison,
    Entry,
    Front,
    Place,
    Point,
    Reason,
    slug_of,
)
from lm_eval_safescale.leaderboard.verify import Level, Verdicts
from lm_eval_safescale.runs import Runs

LEVELS = list(Level)
ALONE = {"rank_lo": 1, "rank_hi": 1, "best_set": True}


def entry_of(label: str, number: int = 0, **given: Any) -> Entry:
    """A verified entry."""
    root = f"{number:064x}"[::-1]
    card = {
        "name": label,
        "revision": "main",
        "model_family": "Made",
        "parameters_b": 7.5,
        "licence": "apache-2.0",
        "contact": "someone@example.org",
        "hardware": "1 processor",
        "attempts": 1 + number,
        "notes": "",
    }
    known: dict[str, Any] = {
        "file": f"submissions/{number:03}.zip",
        "label": label,
        "slug": slug_of(label, root),
        "verdict": Verdicts.VERIFIED,
        "level": LEVELS[number % len(LEVELS)],
        "root": root,
        "sha256": f"{number:064x}",
        "card": card,
        "made_at": "2026-11-01T10:00:00+00:00",
        "answers": 100,
        "not_shown": ("that this model wrote these texts",),
    }
    return Entry(**known | given)


def refused_of(file: str, **given: Any) -> Entry:
    """One that is not verified."""
    reason = Reason(verdict="refused", kind="number", where="results.json", what="0.9")
    known: dict[str, Any] = {
        "file": file,
        "label": file,
        "slug": slug_of(file, ""),
        "verdict": Verdicts.REFUSED,
        "reasons": (reason,),
    }
    return Entry(**known | given)


def comparison_of(runs: Runs, key: str = "radsafe-made") -> Comparison:
    """Of all models of runs, from the tables of a study."""
    study = Study(runs)
    tables, _ = make_tables(study, preset_named("default"))
    metrics = list(study.family.headlines)
    ranks = {(row["model"], row["condition"], row["metric"]): row for row in tables["ranks"]}
    places = []
    for row in rows_of(tables["profile"]):
        for name in metrics:
            rank: Mapping[str, Any] = ranks.get((row["model"], row["condition"], name), ALONE)
            places.append(
                Place(
                    label=row["model"],
                    condition=row["condition"],
                    metric=name,
                    value=row[name],
                    lo=row[f"{name}_lo"],
                    hi=row[f"{name}_hi"],
                    n=row["n"],
                    rank=rank.get("rank_lo"),
                    rank_lo=rank.get("rank_lo"),
                    rank_hi=rank.get("rank_hi"),
                    is_best=bool(rank.get("best_set")),
                )
            )
    found = {(each.label, each.condition, each.metric): each.value for each in places}
    fronts = tuple(
        front_of(
            condition,
            metrics[0],
            name,
            {
                model: (x, y)
                for model in study.runs.models
                if (x := found.get((model, condition, metrics[0]))) is not None
                and (y := found.get((model, condition, name))) is not None
            },
        )
        for condition in study.conditions
        for name in metrics[1:3]
    )
    return Comparison(
        key=key,
        family=study.family.name,
        label=study.family.label,
        dataset=study.runs.about["dataset"],
        entries=tuple(study.runs.models),
        conditions=tuple(study.conditions),
        metrics=tuple(metrics),
        places=tuple(places),
        fronts=fronts,
        study=study,
    )


def front_of(condition: str, x: str, y: str, values: Mapping[str, tuple[float, float]]) -> Front:
    """More of `x` and less of `y` is better."""

    def beaten(model: str) -> bool:
        own = values[model]
        return any(
            other != own and other[0] >= own[0] and other[1] <= own[1] for other in values.values()
        )

    points = tuple(
        Point(label=model, x=own[0], y=own[1], is_on_front=not beaten(model))
        for model, own in values.items()
    )
    return Front(condition=condition, x=x, y=y, higher_is_better=(True, False), points=points)


def rows_of(table: Any) -> Sequence[Mapping[str, Any]]:
    """A table as rows."""
    if isinstance(table, Mapping):
        return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    return list(table)


def board_of(
    *comparisons: Comparison,
    refused: Sequence[Entry] = (),
    entry: Callable[..., Entry] = entry_of,
) -> Board:
    """A board of them."""
    entries = [
        entry(
            label,
            number,
            comparison=each.key,
            dataset=each.dataset,
            demo=bool(each.dataset.get("demo")),
            draws=dict.fromkeys(each.conditions, 5),
        )
        for each in comparisons
        for number, label in enumerate(each.entries)
    ]
    changes = tuple(Change(kind="added", label=each.label, said="new") for each in entries)
    build = BuildRecord(
        at="2026-11-30T12:00:00+00:00",
        version="0",
        entries=len(entries) + len(refused),
        verified=len(entries),
        changes=changes,
    )
    return Board(
        entries=(*sorted(entries, key=lambda each: each.label), *refused),
        comparisons=comparisons,
        history=(build,),
        about={"preset": "default"},
    )


def board_of_runs(runs: Path, **given: Any) -> Board:
    """A board of runs on disk."""
    return board_of(comparison_of(open_runs(runs, texts=False)), **given)

"""The answers of a journal as runs: draws that were answered, and those that failed. It asks
nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any

import polars as pl

from lm_eval_safescale import __version__
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import OF_DRAW, OF_REQUEST, Status
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.held import Held
from lm_eval_safescale.runs.journal import (
    OWN_SETTINGS,
    PARAMETERS_B,
    SCORED_WITH,
    Journal,
    size_of,
)
from lm_eval_safescale.runs.lines import Line
from lm_eval_safescale.runs.provenance import JOURNAL, PROVENANCE, TEAM, provenance_of
from lm_eval_safescale.runs.store import known_of_model, write_pieces
from lm_eval_safescale.runs.table import ANSWERS, categories, checked_answers, checked_items

READER_VERSION, OPENED, FRAME = "reader_version", "reasoning_opened", "prompt_frame"
"""Of a model's settings: by which version its letters were read, whether its prompts had opened the
reasoning, and what stood around the user turn in them (`prompts.Frame`)."""
LATER = (OPENED, FRAME)
"""Those of a condition that older runs did not note."""
OUR_RUNNER = "safescale run"
"""The source of a model in `Runs.about` whose answers our own runner has written."""
TOKEN_LIMIT = "token_limit"
OF_CONDITION = {
    TOKEN_LIMIT: "max_answer_tokens",
    "chat_template": "chat_template",
    OPENED: OPENED,
    FRAME: FRAME,
}
"""What `run.json` says of a condition, and what that is called in a model's settings."""


def write_run_tables(
    journal: Journal,
    items: pl.DataFrame,
    about: Mapping[str, Any],
    name: str,
    on_rows: Callable[[int], object],
) -> None:
    """Write the answers of a journal into its folder as runs: a row for each draw that was
    answered, or failed (status `error`).

    Parameters
    ----------
    items
        Of the data set, by `items_of`.
    about
        What runs say of their data set.
    name
        The model's, in tables.
    on_rows
        Told how many rows were made so far; no more than some ten thousand are in memory.

    Raises
    ------
    SafescaleError
        If there is no answer, if answers that were there are gone, or if the tables cannot be
        written.
    """
    family = family_of_data(about)
    items = checked_items(items, family)
    conditions = family.in_order(journal.held.conditions)
    if not conditions:
        raise SafescaleError(f"{journal.folder}: not one answer; nothing to store")
    place_of_condition = {condition: number for number, condition in enumerate(conditions)}
    place_of_item = {item: number for number, item in enumerate(categories(items["question_id"]))}
    facts = Facts()

    def place(line: Line) -> int:  # of another than these: behind them, where it is refused
        condition = place_of_condition.get(line.condition, len(conditions))
        return condition * (items.height + 1) + place_of_item.get(line.question_id, items.height)

    def pieces() -> Iterator[pl.DataFrame]:
        told, rows = journal.replay(), 0
        lines = told.pieces(place)
        responses = sorted(told.held.responses)
        if len(told.held) < len(journal.held):
            raise SafescaleError(
                f"{journal.folder}: answers that were there are gone: it was moved, or files of it "
                "were removed, while the run was under way. Put it back, and the same command goes "
                "on from there"
            )
        for piece in lines:
            facts.add(piece)
            answers = checked_answers(
                answers_of(piece, name),
                items,
                family,
                models=[name],
                conditions=conditions,
                responses=responses,
            )
            rows += answers.height
            yield answers
            on_rows(rows)

    def known() -> dict[str, Any]:
        models = {name: about_model(journal.about, facts)}
        return {
            "dataset": dict(about),
            "models": models,
            "left_out": [],
            JOURNAL: size_of(journal.folder),
        }

    write_pieces(items, pieces(), known, journal.folder, journal.files())


def answers_of(lines: Sequence[Line], name: str) -> pl.DataFrame:
    """The answers in lines as a frame of `ANSWERS`: a row for each draw that was answered, or
    failed and never answered (status `error`).

    Lines as `FirstDraws` leaves them; all of an item, if any.
    """
    held = Held()
    columns: dict[str, list[Any]] = {column: [] for column in (*OF_REQUEST, *OF_DRAW, "seed")}
    of_request = [(columns[column].extend, attrgetter(column)) for column in OF_REQUEST]
    of_draw = [(columns[column].extend, attrgetter(column)) for column in OF_DRAW]
    for line in lines:
        held.add(line)
        draws = line.draws
        if not draws:
            continue
        for extend, value in of_request:
            extend(repeat(value(line), len(draws)))
        for extend, value in of_draw:
            extend(map(value, draws))
        first = draws[0].draw
        columns["seed"] += [
            None if line.seed is None else line.seed + draw.draw - first for draw in draws
        ]
    for condition, items in held.failures().items():
        for item, (failed, _) in items.items():
            row = {"condition": condition, "question_id": item, "status": Status.ERROR.value}
            for column, values in columns.items():
                values += failed if column == "draw" else [row.get(column)] * len(failed)
    frame = pl.DataFrame(
        {column: pl.Series(values, dtype=ANSWERS[column]) for column, values in columns.items()}
    )
    return frame.with_columns(pl.lit(name).alias("model")).select(ANSWERS.names())


class Facts:
    """What the lines of a run say of its model, all together."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.served: dict[str, set[str]] = {}
        """Under which names the server replied, by condition; none where it gave none."""
        self.sends_seed = True
        self.add(lines)

    def add(self, lines: Iterable[Line]) -> None:
        """Note what more lines say."""
        for line in lines:
            names = self.served.setdefault(line.condition, set())
            if line.served_model:
                names.add(line.served_model)
            if line.seed is None and line.draws and line.draws[0].draw:
                self.sends_seed = False  # whoever decided it


def about_model(description: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """What `Runs.about` says of the model of a run, by what `run.json` and the answers say."""
    identity, conditions, starts = (
        description[name] for name in ("identity", "conditions", "starts")
    )
    settings = {
        **identity["settings"],
        "backend": identity["model"]["backend"],
        "model_args": identity["model"],
        "prompt_sha256": identity["prompt_template"],
        "seed": identity["seed"],
        "version": __version__,
        **starts[-1].get(SCORED_WITH, {}),
    }
    if not facts.sends_seed:
        settings["send_seed"] = False
    versions = {start.get(READER_VERSION) for start in starts}
    if len(versions) == 1 and None not in versions:
        settings[READER_VERSION] = versions.pop()
    served = {
        name: {"served_model": sorted(names)} if names else {}
        for name, names in facts.served.items()
    }
    family = family_of_data(identity.get("dataset", {}))
    by_condition = {
        name: {**settings, **_of_condition(conditions[name]), **served[name]}
        for name in family.in_order(served)
    }
    known = known_of_model(OUR_RUNNER, by_condition, family)
    known[PROVENANCE] = provenance_of(description)
    if TEAM in starts[-1]:
        known[TEAM] = starts[-1][TEAM]
    sizes = [start[PARAMETERS_B] for start in starts if start.get(PARAMETERS_B) is not None]
    return {**known, PARAMETERS_B: sizes[-1]} if sizes else known


def _of_condition(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **facts.get(OWN_SETTINGS, {}),
        **{
            setting: facts[name]
            for name, setting in OF_CONDITION.items()
            if name in facts or name not in LATER
        },
    }

"""What reading runs again leaves behind: who read, and rows for hand checking. It reads nothing
itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.files import replaced
from lm_eval_safescale.secrets import without_places

if TYPE_CHECKING:
    from lm_eval_safescale.runs.table import Runs

READING = "reading"
"""Of a model's settings in `Runs.about`: who read its letters, where it was not the run itself."""
JUDGED_MODEL, CASE_ORDER = "judged_model", "case_order"
"""Of a model's settings: whose answers they are, where several judges of them are stored as a model
each; and the units in the order of first appearance in the file that they were read from."""
JOURNAL = "journal_bytes"
"""Of `Runs.about`: bytes of the journal that the tables of a run were made of; they are beside
these tables alone."""
PROVENANCE, STARTS, CONDITIONS = "provenance", "starts", "conditions"
"""Of a model in `Runs.about`: when and with what its answers were made, where that was recorded:
`starts` (`OF_START`), and of each of the `conditions` its `OF_CONDITION`."""
PROMPT, CONTEXTS, REVISION = "prompt", "contexts", "revision"
"""The texts of the two turns; what stood above the questions: how it was made, its tokens and
measures; the commit on the hub that the model was loaded from."""
OF_CONDITION = (REVISION, PROMPT, CONTEXTS)
AT, ENDED_AT, SURROUNDINGS, PLUGINS, ENGINE = (
    "at", "ended_at", "surroundings", "plugins", "engine",
)  # fmt: skip
"""Of a start: when it began, and when it had asked for everything; packages, system and hardware;
plugins that took part; what computed the answers."""
OF_START = (
    AT, ENDED_AT, "version", "batch_size", "device", "conditions", "items", "latency",
    "reader_version", SURROUNDINGS, PLUGINS, ENGINE,
)  # fmt: skip
"""What is told of a start: nothing of whose machine it was."""
TEAM = "team"
"""The backend of a run whose answers a team of models gave; and of a model in `Runs.about`, what is
known of that team: `members` with what each did (`OF_MEMBER`), and of all of them `OF_TEAM`."""
OF_MEMBER = ("steps", "prompt_tokens", "completion_tokens", "seconds")
OF_TEAM = (*OF_MEMBER, "not_reviewed", "reviews_not_used")
"""Counts of steps and sums over them, null where one is unknown; of answers of the Advisor in which
was nothing to review; and of reviews that could not be used, asked twice."""
IMPORTED, OF = "imported", "of"
"""Of `Runs.about`: where the runs were imported from. Runs that were read again say so: an import
writes over its own runs only."""


def read_by(runs: Runs, reading: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the runs, with who has read them now."""
    models: dict[str, Any] = {}
    for model, known in runs.about.get("models", {}).items():
        own = {
            condition: {name: value for name, value in its.items() if name != READING}
            for condition, its in known.get("by_condition", {}).items()
        }
        models[model] = {**known, "settings": {**known.get("settings", {}), READING: dict(reading)}}
        if "by_condition" in known:
            models[model]["by_condition"] = own
    about = {
        **{name: value for name, value in runs.about.items() if name != JOURNAL},
        "models": models,
    }
    return (
        about
        if IMPORTED not in about
        else about | {IMPORTED: {"read_again": reading["by"], OF: about[IMPORTED]}}
    )


def imported_from(runs: Runs) -> Mapping[str, Any]:
    """Where runs were imported from, however often they were read again since."""
    origin = runs.about.get(IMPORTED) or {}
    while OF in origin:
        origin = origin[OF]
    return origin  # type: ignore[no-any-return]


def provenance_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """When and with what the answers of a run were made, by its `run.json`."""
    return {
        STARTS: [_known(start, OF_START) for start in description["starts"]],
        CONDITIONS: {
            name: known
            for name, facts in description["conditions"].items()
            if (known := _known(facts, OF_CONDITION))
        },
    }


def _known(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: facts[name] for name in names if name in facts}


def merged_provenance(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a model in two places, each as it stands in `Runs.about`; empty where
    nothing is."""
    if PROVENANCE not in one and PROVENANCE not in other:
        return {}
    told = [known.get(PROVENANCE) or _not_recorded(known) for known in (one, other)]
    starts = [start for each in told for start in each[STARTS]]
    conditions = {name: its for each in told for name, its in each[CONDITIONS].items()}
    return {PROVENANCE: {STARTS: starts, CONDITIONS: conditions}}


def merged_team(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a team from two places, each as it stands in `Runs.about`; empty where
    nothing is."""
    teams = [known[TEAM] for known in (one, other) if TEAM in known]
    if len(teams) < 2:
        return {TEAM: teams[0]} if teams else {}
    first, second = teams
    members = zip(first["members"], second["members"], strict=True)
    return {
        TEAM: {
            **_added(first, second, OF_TEAM),
            "members": [_added(*each, OF_MEMBER) for each in members],
        }
    }


def _added(
    one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    return {**one, **{name: sum_of((one[name], other[name])) for name in names}}


def sum_of(values: Iterable[Any]) -> Any:
    """The sum; None where one of them is unknown."""
    known = list(values)
    return None if None in known else sum(known)


def _not_recorded(known: Mapping[str, Any]) -> dict[str, Any]:
    """That a model was asked, and nothing of how."""
    return {STARTS: [{CONDITIONS: known["conditions"]}], CONDITIONS: {}}


def settings_of(runs: Runs, model: str, condition: str) -> dict[str, Any]:
    """The settings under which a model was asked under a condition, as far as they are known."""
    known = runs.about.get("models", {}).get(model, {})
    return {**known.get("settings", {}), **known.get("by_condition", {}).get(condition, {})}


def setting_of(runs: Runs, model: str, condition: str, name: str) -> Any:
    """A setting under which a model was asked; None where it is not known."""
    return settings_of(runs, model, condition).get(name)


def name_of_judge(judge: Mapping[str, Any]) -> str:
    """What a judge goes by, by what is recorded of it; of a path the last part."""
    named = judge.get("name") or judge.get("model") or judge.get("model_args", {}).get("pretrained")
    return str(without_places(str(named or judge.get("backend") or "")))


def refuse_without_texts(runs: Runs) -> None:
    """SafescaleError where there is nothing to read."""
    if runs.answers["text"].null_count() == runs.answers.height:
        raise SafescaleError(
            "these runs hold no raw texts, so nothing can be read again; import them from files "
            "that hold the texts (lm_eval writes them with --log_samples)"
        )


def write_lines(rows: pl.DataFrame | Iterable[Mapping[str, Any]], path: Path) -> None:
    """Rows as JSON lines; what was there is replaced at once, or not at all."""
    with (
        writing(path),
        replaced(path) as unfinished,
        unfinished.open("w", encoding="utf-8") as file,
    ):
        for row in rows.iter_rows(named=True) if isinstance(rows, pl.DataFrame) else rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def with_columns_of_items(runs: Runs, *columns: str) -> pl.DataFrame:
    """The answers, their places, and columns of their items, with plain texts for enumerations."""
    places = runs.answers["question_id"].to_physical()
    names = [name for name, kind in runs.answers.schema.items() if isinstance(kind, pl.Enum)]
    return runs.answers.with_columns(
        *(runs.items[name].gather(places) for name in columns),
        *(pl.col(name).cast(pl.String) for name in names),
    ).with_row_index("row")


def place_of(row: Mapping[str, Any]) -> str:
    """What an answer is called."""
    return f"{row['model']}, {row['condition']}, item {row['question_id']}, draw {row['draw']}"


def counted(frame: pl.DataFrame, *by: str) -> list[dict[str, Any]]:
    """How many rows there are of each kind, the most first; ties by name."""
    return (
        frame.group_by(by)
        .agg(pl.len().alias("rows"))
        .sort("rows", *by, descending=[True] + [False] * len(by))
        .to_dicts()
    )

"""The card of a submission: what its author says of the model, and nobody can recompute. It knows
no answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lm_eval_safescale.errors import CommandHint, SafescaleError
from lm_eval_safescale.inputs import read_yaml
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import PARAMETERS_B, is_run
from lm_eval_safescale.runs.table import Runs

Line = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]


class Card(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Claims: checked for their form alone."""

    name: Line
    revision: Line
    model_family: Line
    parameters_b: Annotated[float, Meta(gt=0, lt=1e6)] | None
    licence: Line
    contact: Line
    hardware: Line
    attempts: Annotated[int, Meta(ge=1, le=1_000_000)]
    notes: Text = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    expected: str
    """What to write there."""
    may_be_null: bool = False


ENTRIES = {
    "name": _Entry("what the model is called on a board"),
    "revision": _Entry(
        "the commit or version of the weights; of a server, what it says, or the date"
    ),
    "model_family": _Entry("Qwen, Llama, ...: models of one family stand together"),
    "parameters_b": _Entry("billions of parameters; null where they are not disclosed", True),
    "licence": _Entry("of the weights: apache-2.0, or proprietary"),
    "contact": _Entry("an address at which somebody answers"),
    "hardware": _Entry("what the answers were made on: 1 x H100 80 GB, or a provider's name"),
    "attempts": _Entry(
        "how often these items were put to this model, or to versions of it, until these "
        "answers were chosen; 1 if these are the first"
    ),
    "notes": _Entry("anything else that readers should know; may be left out", True),
}


def known_of(runs: Runs, folders: Iterable[Path] = ()) -> dict[str, Any]:
    """What the runs of one model, from these folders, say of it themselves."""
    ((name, known),) = runs.about["models"].items()
    revisions = {
        asked.get("revision")
        for folder in folders
        if is_run(folder)
        for asked in read_run(folder)["conditions"].values()
    }
    found = {
        "name": name,
        "revision": revisions.pop() if len(revisions) == 1 else None,
        "parameters_b": known.get(PARAMETERS_B),
    }
    return {field: value for field, value in found.items() if value is not None}


def template(runs: Runs, folders: Iterable[Path] = ()) -> str:
    """A card to fill in, as YAML: every entry with what is expected, filled where the runs know."""
    known = known_of(runs, folders)
    lines = ["# What nobody can recompute; each entry is a claim, and is shown as one."]
    for field, entry in ENTRIES.items():
        value = json.dumps(known[field], ensure_ascii=False) if field in known else ""
        lines += [f"# {entry.expected}", f"{field}: {value}".rstrip()]
    return "\n".join(lines) + "\n"


def read_card(path: Path | None, runs: Runs, folders: Iterable[Path] = ()) -> Card:
    """The card in a file, over what the runs know.

    Raises
    ------
    SafescaleError
        Naming every entry that lacks or cannot be, with what is expected.
    """
    given: Any = {} if path is None else read_yaml(path)
    given = {} if given is None else given
    where = "the card" if path is None else str(path)
    if not isinstance(given, dict):
        raise SafescaleError(f"{where}: expected entries, name: value; see its template")
    if unknown := sorted(str(name) for name in given if name not in ENTRIES):
        raise SafescaleError(
            f"{where}: no entry of a card: {', '.join(unknown)}; expected {', '.join(ENTRIES)}"
        )
    told = {
        **known_of(runs, folders),
        **{name: value for name, value in given.items() if value is not None},
    }
    null = {name for name, value in given.items() if value is None and ENTRIES[name].may_be_null}
    lacking = [name for name in ENTRIES if name not in told and name not in null | {"notes"}]
    if lacking:
        raise SafescaleError(
            f"{where} lacks what nobody can recompute:\n"
            + "\n".join(f"  {name}: {ENTRIES[name].expected}" for name in lacking)
            + "\nfill in a template, and give it as the card: ",
            CommandHint("safescale submit template RUNS", {"output": "card.yaml"}),
        )
    for name in ("revision", "contact", "hardware", "licence"):
        if isinstance(told.get(name), int | float):  # 1.0, say
            told[name] = str(told[name])
    try:
        return msgspec.convert({"parameters_b": None, **told}, Card)
    except msgspec.ValidationError as error:
        raise SafescaleError(f"{where}: {error}") from None

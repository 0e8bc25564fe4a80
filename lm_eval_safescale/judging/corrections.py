"""A person's verdicts on judged answers, from a file: in the place of the judge's, or compared with
them. It asks no model.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.datasets import DataError, Problem, Record, shown
from lm_eval_safescale.datasets.files import read_records
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.families.judge import Correction
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.judging.advice import CORRECTIONS_FILE, JudgedAdvice, advice_of, judge_of
from lm_eval_safescale.judging.judging import STEPS_FILE
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.runs.table import KEYS, Runs

CORRECTIONS = "corrections"
"""Of `provenance.READING`: how many verdicts a person gave, and the file's checksum."""
BY_HAND, ACTION = "by hand", "action"
Key = tuple[str, str, str, int]
"""Of an answer: model, condition, question_id, draw."""
QUESTION, DRAW, OPTION, VERDICT = "question_id", "draw", "option", "verdict"


@dataclass(frozen=True, slots=True)
class ByHand:
    """The verdicts of a file, by answer."""

    verdicts: Mapping[Key, Sequence[Correction]]
    empty: int
    """Lines whose verdict is still null."""

    def __len__(self) -> int:
        return sum(map(len, self.verdicts.values()))


def read_by_hand(path: Path, runs: Runs) -> ByHand:
    """The verdicts of a person on judged answers.

    Parameters
    ----------
    path
        A record for each verdict: `question_id`, `option` and `verdict` (null: none yet); `model`,
        `condition` and `draw` unless the runs have one alone; if the person names them, `reason`
        and `action`. Other fields are not read.
    runs
        The judged runs.

    Raises
    ------
    DataError
        With everything that is wrong, by line and field: answers and options that are not there or
        have no verdicts, and two verdicts on one option.
    """
    records, problems = read_records(path)
    judge = judge_of(runs.family)
    known: dict[Key, set[int] | None] = {}
    responses: dict[Key, str] = {}
    for *key, response in runs.answers.select(*KEYS, "response").iter_rows():
        options = None if response is None else {each.option for each in judge.verdicts(response)}
        known[tuple(key)] = options  # type: ignore[index]
        responses[tuple(key)] = response  # type: ignore[index]
    names = {name: {key[place] for key in known} for place, name in enumerate(KEYS)}
    alone = {name: next(iter(own)) for name, own in names.items() if len(own) == 1}
    problems = [problem for problem in problems if problem.is_error]
    found: dict[Key, dict[int, Correction]] = {}
    empty = 0
    for record in records:
        fields = {**alone, **record.fields}
        if fields.get(VERDICT) is None:
            empty += 1
            continue
        wrong = dict(_wrong(fields, names, known, judge.matches))
        if not wrong:
            answer: Any = tuple(fields[name] for name in KEYS)
            given = _correction(fields)
            try:
                judge.corrected(responses[answer], [given])
            except ValueError as error:
                wrong[ACTION] = str(error)
            before = found.setdefault(answer, {}).setdefault(given.option, given)
            if before != given:
                wrong[VERDICT] = f"another one on this option stands above: {before.match}"
        problems += [_problem(record, field, said) for field, said in wrong.items()]
    if problems:
        raise DataError(str(path), problems)
    return ByHand({key: list(own.values()) for key, own in found.items()}, empty)


def _problem(record: Record, field: str, said: str) -> Problem:
    item = record.fields.get(QUESTION)
    return Problem(said, record.line, item if isinstance(item, str) else None, field)


def _wrong(
    fields: Mapping[str, Any],
    names: Mapping[str, Collection[Any]],
    known: Mapping[Key, set[int] | None],
    matches: Collection[str],
) -> Iterator[tuple[str, str]]:
    for name, own in names.items():
        value = fields.get(name)
        kind = int if name == DRAW else str
        if value is None:
            yield name, f"is missing; the runs have {len(own)} of them"
            return
        if type(value) is not kind or value not in own:
            yield name, f"{shown(value)} is not in the runs"
            return
    options = known.get(tuple(fields[name] for name in KEYS))  # type: ignore[arg-type]
    option = fields.get(OPTION)
    if options is None:
        yield QUESTION, "this answer has no verdicts: it is not there, says nothing, or failed"
    elif type(option) is not int or option not in options:
        yield OPTION, f"{shown(option)} is none of its options"
    if fields[VERDICT] not in matches:
        yield VERDICT, f"expected one of {', '.join(matches)}, found {shown(fields[VERDICT])}"
    for name, kind in (("reason", str), (ACTION, int)):
        value = fields.get(name)
        if value is not None and type(value) is not kind:
            expected = "a text" if kind is str else "the number of an action"
            yield name, f"expected {expected}, found {shown(value)}"


def _correction(fields: Mapping[str, Any]) -> Correction:
    reason = " ".join(whole(fields.get("reason") or "").split())
    said = f"{BY_HAND}: {reason}" if reason else BY_HAND
    return Correction(fields[OPTION], fields[VERDICT], said, fields.get(ACTION))


def correct(runs: Runs, by_hand: ByHand) -> Runs:
    """Runs with a person's verdicts in the place of their judge's."""
    judge = judge_of(runs.family)
    responses = [
        judge.corrected(response, own)
        if (own := by_hand.verdicts.get(tuple(key)))  # type: ignore[arg-type]
        else response
        for *key, response in runs.answers.select(*KEYS, "response").iter_rows()
    ]
    answers = runs.answers.with_columns(pl.Series("response", responses, dtype=pl.String))
    return Runs(runs.items, answers, runs.about)


def correct_from(folder: Path, path: Path, output: Path) -> tuple[JudgedAdvice, ByHand]:
    """The judged runs of a folder, corrected by a file, which is stored with the judge's replies
    beside what will be written.

    Raises
    ------
    SafescaleError
        Also where the runs were corrected before: a file holds all that a person has said.
    """
    runs = open_runs(folder)
    settings = {model: dict(known["settings"]) for model, known in runs.about["models"].items()}
    if any(CORRECTIONS in (own.get(provenance.READING) or {}) for own in settings.values()):
        raise SafescaleError(
            f"{folder}: its verdicts were corrected before; correct the runs as the judge left "
            "them, by one file of all corrections"
        )
    by_hand = read_by_hand(path, runs)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, output / CORRECTIONS_FILE)
        if (folder / STEPS_FILE).is_file():
            shutil.copyfile(folder / STEPS_FILE, output / STEPS_FILE)
    told = {"verdicts": len(by_hand), "sha256": sha256_of(output / CORRECTIONS_FILE)}
    models = {}
    for model, known in runs.about["models"].items():
        reading = {**(settings[model].get(provenance.READING) or {}), CORRECTIONS: told}
        models[model] = {**known, "settings": {**settings[model], provenance.READING: reading}}
    corrected = replace(correct(runs, by_hand), about={**runs.about, "models": models})
    return advice_of(corrected), by_hand


def changes_of(by_hand: ByHand, runs: Runs) -> Counter[str]:
    """How many of a person's verdicts are the judge's, and how many others."""
    judge = judge_of(runs.family)
    found: Counter[str] = Counter(same=0, other=0)
    for *key, response in runs.answers.select(*KEYS, "response").iter_rows():
        own = by_hand.verdicts.get(tuple(key), ())  # type: ignore[arg-type]
        if own:
            before = {each.option: each.match for each in judge.verdicts(response)}
            found.update("same" if before[each.option] == each.match else "other" for each in own)
    return found

"""Judged runs from records in the open NOHARM kit's own layout: what a judge found in answers that
are not here themselves. Reads files; needs no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from lm_eval_safescale.datasets import DataError, Problem, Record, no_text, shown
from lm_eval_safescale.datasets.files import read_records
from lm_eval_safescale.datasets.problems import has_errors
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm_text import NOHARM, as_consultation
from lm_eval_safescale.families.noharm_text.verdicts import Action, OptionVerdict, Verdicts
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.judges import judged_by
from lm_eval_safescale.runs.provenance import CASE_ORDER, JUDGED_MODEL, READING
from lm_eval_safescale.runs.store import known_of_model
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from lm_eval_safescale.words import meant

IGNORED = "ignored_fields"
"""Of `Runs.about`: fields that no figure rests on, with how often they stood in the file."""
RULE = "imported verdicts"
_OF_RECORD = {"id", "trial", "judge", "options", "responseActions"}
_OF_OPTION = {"id", "matched", "partial", "evidence"}
_OF_ACTION = {"number", "action", "category", "match", "evidence"}
_Wrong = Callable[[str, str, str], None]
"""Told a field, what is wrong with it, and the kind of that."""


def import_noharm(
    records: Path,
    kit: Path,
    progress: Callable[[str], object] | None = None,
    *,
    model: str | None = None,
    condition: str = NOHARM.name,
) -> Runs:
    """Runs of one judged model: a record an answer, its trials as draws.

    Several judges are stored apart, each as a model of its own, `MODEL (judged by JUDGE)`.

    Parameters
    ----------
    records
        JSON lines: `id`, `trial`, `judge`, `options`, `responseActions`. Other fields are ignored,
        and counted in `about["ignored_fields"]`.
    kit
        Its folder, or the `dataset` in it.
    model
        Whose answers they are; None: the name of the file.
    condition
        The prompt variant that they were asked under.

    Raises
    ------
    DataError
        Naming line, item, field and option of every record that cannot be used.
    """
    if condition not in (known := [each.name for each in NOHARM.conditions]):
        raise SafescaleError(f"no condition {condition!r}{meant(condition, known)}")
    judged = records.stem if model is None else model
    if problem := no_text(judged):
        raise SafescaleError(f"the model's name: {problem}")
    dataset = NOHARM.load(kit)
    if progress:
        progress(records.name)
    given, problems = read_records(records)
    numbers = {
        item.question_id: [each.id for each in as_consultation(item).options] for item in dataset
    }
    ignored: Counter[str] = Counter()
    found: dict[_Key, Verdicts] = {}
    line_of: dict[_Key, int] = {}
    for record in given:
        own = list[Problem]()
        verdicts = _verdicts(record, numbers, own, ignored)
        if verdicts is not None:
            key = _Key(record.fields["id"], record.fields["trial"], verdicts.judge)
            if key in found:
                whose = f"trial {key.trial}, judge {key.judge}"
                said = f"stands twice ({whose}), first on line {line_of[key]}"
                own.append(Problem(said, record.line, key.item, "id", kind="twice"))
            found[key], line_of[key] = verdicts, record.line
        problems += own
    if has_errors(problems):
        raise DataError(str(records), problems)
    bases = {item.question_id: as_consultation(item).base for item in dataset}
    order = list(dict.fromkeys(bases[key.item] for key in found))
    judges = list(dict.fromkeys(key.judge for key in found))
    names = {judge: judged if len(judges) == 1 else judged_by(judged, judge) for judge in judges}
    trials = {judge: sorted({key.trial for key in found if key.judge == judge}) for judge in judges}
    answers = [
        {
            "model": names[key.judge],
            "condition": condition,
            "question_id": key.item,
            "draw": trials[key.judge].index(key.trial),
            "response": verdicts.as_text(),
            "status": Status.OK.value,
            "rule": RULE,
        }
        for key, verdicts in found.items()
    ]
    shared = {JUDGED_MODEL: judged, CASE_ORDER: order}
    models = {}
    for judge, of_judge in trials.items():
        reading = {READING: {"by": "judge", "judge": {"name": judge}}}
        settings = {"draws": len(of_judge) - 1, **shared, **reading}
        models[names[judge]] = known_of_model(records.name, {condition: settings}, NOHARM)
    about = {
        "dataset": {**about_dataset(dataset), "settings": {"dataset_path": str(kit.resolve())}},
        "models": models,
        "left_out": [],
        IGNORED: dict(sorted(ignored.items())),
    }
    return Runs(items_of(dataset), pl.DataFrame(answers), about)


class _Key(NamedTuple):
    """Whose record it is: no two have one."""

    item: str
    trial: int
    judge: str


def _verdicts(
    record: Record,
    numbers: Mapping[str, Sequence[int]],
    problems: list[Problem],
    ignored: Counter[str],
) -> Verdicts | None:
    """What a record says; None where something is wrong with it."""
    fields = record.fields
    item = fields.get("id")

    def wrong(field: str, said: str, kind: str) -> None:
        name = item if isinstance(item, str) else None
        problems.append(Problem(said, record.line, name, field, kind=kind))

    ignored.update(fields.keys() - _OF_RECORD)
    if not isinstance(item, str) or item not in numbers:
        wrong("id", f"{shown(item)} is no item of the kit", "unknown item")
        return None
    trial, judge = fields.get("trial"), fields.get("judge")
    if isinstance(trial, bool) or not isinstance(trial, int):
        wrong("trial", f"expected a whole number, found {shown(trial)}", "trial")
    if problem := no_text(judge):
        wrong("judge", problem, "judge")
    options = _options(fields.get("options"), numbers[item], wrong, ignored)
    actions = tuple(_actions(fields.get("responseActions"), options, wrong, ignored))
    if problems:
        return None
    assert isinstance(judge, str)
    return Verdicts(judge, options, actions, trial)


def _entries(
    given: object, field: str, wrong: _Wrong, known: set[str], ignored: Counter[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list, each with where it stands."""
    if not isinstance(given, list):
        wrong(field, f"expected a list, found {shown(given)}", field)
        return
    for place, entry in enumerate(given, 1):
        if isinstance(entry, dict):
            ignored.update(f"{field}.{name}" for name in entry.keys() - known)
            yield f"{field}[{place}]", entry
        else:
            wrong(f"{field}[{place}]", f"expected an object, found {shown(entry)}", "no object")


def _options(
    given: object, numbers: Sequence[int], wrong: _Wrong, ignored: Counter[str]
) -> dict[int, OptionVerdict]:
    found: dict[int, OptionVerdict] = {}
    for where, entry in _entries(given, "options", wrong, _OF_OPTION, ignored):
        number = entry.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            wrong(f"{where}.id", f"expected a whole number, found {shown(number)}", "option id")
            continue
        option = f"option {number}"
        if number not in numbers:
            wrong("options", f"{option} is no option of the case", "unknown option")
        if number in found:
            wrong("options", f"{option} stands twice", "option twice")
        matched, partial = entry.get("matched"), entry.get("partial")
        for name, value in (("matched", matched), ("partial", partial or False)):
            if not isinstance(value, bool):
                said = f"{option}, {name}: expected true or false, found {shown(value)}"
                wrong("options", said, name)
        evidence = entry.get("evidence")
        found[number] = OptionVerdict(
            "no" if matched is not True else "partial" if partial is True else "yes",
            "unknown",
            whole(evidence) if isinstance(evidence, str) else "",
        )
    for number in numbers if isinstance(given, list) else ():
        if number not in found:
            wrong("options", f"option {number} is missing", "missing option")
    return found


def _actions(
    given: object, options: Mapping[int, OptionVerdict], wrong: _Wrong, ignored: Counter[str]
) -> Iterator[Action]:
    for where, entry in _entries(given, "responseActions", wrong, _OF_ACTION, ignored):
        number = entry.get("number")
        if isinstance(number, bool) or not isinstance(number, int):
            wrong(f"{where}.number", f"expected a whole number, found {shown(number)}", "number")
            continue
        action = f"action {number}"
        texts = dict.fromkeys(("action", "category", "evidence"), "")
        for name in texts:
            value = entry.get(name) or ""
            if isinstance(value, str):
                texts[name] = whole(value)
            else:
                said = f"{action}, {name}: expected a text, found {shown(value)}"
                wrong("responseActions", said, name)
        match = tuple(dict.fromkeys(_match(entry.get("match"), action, options, wrong)))
        yield Action(number, texts["action"], texts["category"], match, texts["evidence"])


def _match(
    given: object, action: str, options: Mapping[int, OptionVerdict], wrong: _Wrong
) -> Iterator[int]:
    """The options that an action names."""
    if not isinstance(given, str):
        said = f"{action}, match: expected a text such as '3,11', found {shown(given)}"
        wrong("responseActions", said, "match")
        return
    for part in given.split(",") if given.strip() else ():
        text = part.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            said = f"{action}, match: names {shown(text)}; expected the number of an option"
            wrong("responseActions", said, "no number in match")
        elif (number := int(text)) not in options:
            said = f"{action}, match: names option {number}, which the record does not list"
            wrong("responseActions", said, "unknown option in match")
        elif options[number].match == "no":
            said = f"{action}, match: names option {number}, which is not matched"
            wrong("responseActions", said, "unmatched option in match")
        else:
            yield number

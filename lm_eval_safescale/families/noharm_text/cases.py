"""Consultations with the rubric that advice is judged by, from the records of a data file. It knows
no folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.datasets import (
    Given,
    Problem,
    Record,
    no_text,
    parse_items,
    shown,
)
from lm_eval_safescale.families.noharm.kit import SPECIALTY, score_of
from lm_eval_safescale.records import Item
from lm_eval_safescale.words import counted

BASELINE = "baseline"
"""The perturbation of a base case: none."""
PERTURBATION = "perturbation"
ALTERNATIVE = "alternative"
"""The `abstractionType` of options of which one is as good as another."""
_VARIANT = re.compile(r"-\d+$")
_FACTS = ("id", "score", "bare_score", "abstraction", "abstraction_type", "depends_on", "category")
"""What of an option enters scores and tables, in the order of the column `rubric`."""


@dataclass(frozen=True, slots=True)
class RubricOption:
    """One management option of a case, that advice may hold or not."""

    id: int
    text: str
    category: str
    score: int
    """1 to 9: the first of `placement`, `score`, `grade` that is given. 9, 8, 7: leaving it out is
    a severe, moderate, mild omission; 1, 2, 3: advising it a severe, moderate, mild commission;
    4 to 6: uncertain."""
    bare_score: int | None = None
    """The field `score` itself, from which resilience is; None where the option lacks it."""
    abstraction: str | None = None
    """The name of its group."""
    abstraction_type: str | None = None
    depends_on: tuple[int, ...] = ()
    """Options of which one must be advised for this one to be asked for."""


@dataclass(frozen=True, slots=True)
class Consultation(Item):
    """A case, or a clinically neutral variant of one, and its rubric; `question` is what the model
    is shown, and `unit` the base case."""

    options: tuple[RubricOption, ...]
    base: str
    place: int = 0
    """In the file of items, from 0: the order in which cases are resampled by `noharm-2026`."""
    guidance: str = ""
    """The case's hints for the judge, as YAML; empty for none."""

    def as_dict(self) -> dict[str, Any]:
        """All that defines the item; not its place."""
        return {
            "question_id": self.question_id,
            "question": self.question,
            "base": self.base,
            "options": [_as_kit(option) for option in self.options],
            "guidance": self.guidance,
        }

    def as_doc(self) -> dict[str, Any]:
        """All of it, as plain data."""
        return {**Item.as_doc(self), "place": self.place}

    def as_record(self) -> dict[str, Any]:
        """All of it, as a data file would have it."""
        return {**Item.as_record(self), "place": self.place}

    def fields(self) -> dict[str, str]:
        """What a prompt may show: the case alone."""
        return {"case": self.question}


def _as_kit(option: RubricOption) -> dict[str, Any]:
    """An option as the kit has it."""
    own = {
        "placement": option.score if option.bare_score != option.score else None,
        "score": option.bare_score,
        "abstraction": option.abstraction,
        "abstractionType": option.abstraction_type,
        "dependsOn": list(option.depends_on) or None,
    }
    told = {"id": option.id, "text": option.text, "category": option.category}
    return told | {name: value for name, value in own.items() if value is not None}


def base_of(item_id: str) -> str:
    """The id of a variant's base case: without the last "-" and digits."""
    return _VARIANT.sub("", item_id)


def columns_of(item: Consultation) -> dict[str, Any]:
    """What of a consultation enters scores and tables."""
    facts = [[getattr(option, name) for name in _FACTS] for option in item.options]
    return {"rubric": compact(facts), "base": item.base, "place": item.place}


def options_of(column: str) -> tuple[RubricOption, ...]:
    """The options that a value of the column `rubric` holds, without their texts.

    Raises
    ------
    ValueError, TypeError
        For what is none.
    """
    return tuple(
        RubricOption(number, "", category, score, bare, name, kind, tuple(parents))
        for number, score, bare, name, kind, parents, category in json.loads(column)
    )


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse(
    records: Collection[Record],
    columns: Given | None,
    groups: Collection[str],
    exclude: Collection[str] = (),
) -> tuple[list[Consultation], list[Problem]]:
    """Consultations of all records that are whole, and what is wrong with the others."""
    place = iter(range(len(records)))

    def make(fields: Mapping[str, Any], **shared: Any) -> Consultation:
        base = fields.get("base") or base_of(fields["id"])
        shared["unit"] = shared["unit"] or base
        return Consultation(
            fields["id"],
            fields["prompt"],
            tuple(_option(each) for each in fields["options"]),
            base,
            next(place) if fields.get("place") is None else fields["place"],
            fields.get("guidance") or "",
            **shared,
        )

    items, problems = parse_items(
        records,
        make,
        _wrong,
        _odd(records),
        columns=columns,
        groups=(SPECIALTY, PERTURBATION, *groups),
        exclude=exclude,
        identifier="id",
        also={"id": "question_id", "prompt": "question"},
        reads=("options", "base", "guidance", "presentation", "place"),
    )
    note = Problem(_understood(items), is_error=False, is_note=True)
    return items, [*problems, *_split_cases(items), *([note] if items else [])]


def _split_cases(items: Collection[Consultation]) -> Iterator[Problem]:
    """Variants whose rubric or unit is not that of their case: all records of it are one pool."""
    first: dict[str, Consultation] = {}
    for item in items:
        case = first.setdefault(item.base, item)
        for name in ("options", "unit"):
            if getattr(item, name) != getattr(case, name):
                whose = f"{case.question_id}; expected one for all of {case.base}"
                said = f"differs from that of {whose}"
                yield Problem(said, None, item.question_id, name, kind="not as its case")


def _understood(items: Collection[Consultation]) -> str:
    """The size of it all, in a line."""
    cases = {item.base: item for item in items}.values()
    options = sum(len(case.options) for case in cases)
    hinted = sum(bool(case.guidance) for case in cases)
    hints = f"hints for the judge of {hinted}" if hinted else "no hints for the judge"
    return (
        f"understood as: {counted(len(cases), 'case')}, {counted(len(items), 'item')}, "
        f"{counted(options, 'option')}; {hints}"
    )


def _option(option: Mapping[str, Any]) -> RubricOption:
    bare = option.get("score")
    return RubricOption(
        option["id"],
        " ".join(option["text"].split()),
        " ".join(option["category"].split()),
        score_of(option),
        bare,
        option.get("abstraction") or None,
        option.get("abstractionType") or None,
        tuple(option.get("dependsOn") or ()),
    )


def _odd(records: Collection[Record]) -> Any:
    shown_by = {
        own: presentation
        for record in records
        if isinstance(own := record.fields.get("id"), str)
        and isinstance(presentation := record.fields.get("presentation"), str)
    }

    def odd(item: Consultation) -> Iterator[tuple[str, str]]:
        presentation = shown_by.get(item.question_id)
        if presentation is not None and presentation.split() != item.question.split():
            yield "prompt", "is not the case of its rubric; expected items and rubrics of one kit"
        if not any(option.score >= 7 for option in item.options):
            yield "options", "none has a score of 7 or more: recall is 0 whatever is advised"

    return odd


def _wrong(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that cannot be used, with the reason."""
    if problem := no_text(fields.get("prompt")):
        yield "prompt", problem
    for name in (SPECIALTY, PERTURBATION, "base", "guidance"):
        if (value := fields.get(name)) is not None and not isinstance(value, str):
            yield name, f"expected a text, found {shown(value)}"
    place = fields.get("place")
    if place is not None and (isinstance(place, bool) or not isinstance(place, int)):
        yield "place", f"expected a whole number, found {shown(place)}"
    for each in wrong_options(fields.get("options")):
        yield each.field or "", each.message


def wrong_options(options: object) -> Iterator[Problem]:
    """What is wrong with the options of a rubric."""
    if not isinstance(options, list) or not options:
        yield Problem(f"expected a list of options, found {shown(options)}", field="options")
        return
    parents: dict[int, list[int]] = {}
    for place, option in enumerate(options, 1):
        if not isinstance(option, dict):
            yield _of_option(f"in place {place}", "", f"expected an object, found {shown(option)}")
            continue
        number = option.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 31:
            said = f"expected a whole number, found {shown(number)}"
            yield _of_option(f"in place {place}", "id", said)
            continue
        if number in parents:
            yield _of_option(number, "id", "stands twice")
        found = list(_wrong_option(option))
        yield from (_of_option(number, field, said) for field, said in found)
        wrong = any(field == "dependsOn" for field, _ in found)
        parents[number] = [] if wrong else list(option.get("dependsOn") or ())
    for number, own in parents.items():
        for parent in own:
            if parent not in parents:
                said = f"names option {parent}, which is not there"
                yield _of_option(number, "dependsOn", said)
    if circle := _circle(parents):
        path = " -> ".join(map(str, circle))
        said = f"leads back to itself ({path}); expected no circle"
        yield _of_option(circle[0], "dependsOn", said)


def _of_option(which: int | str, field: str, said: str) -> Problem:
    """What is said of one option; of several it is one kind of problem."""
    where = f"options.{field}" if field else "options"
    return Problem(f"option {which}: {said}", field=where, kind=said)


def _wrong_option(option: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("text", "category"):
        if problem := no_text(option.get(name)):
            yield name, problem
    try:
        score_of(option)
    except ValueError as error:
        yield "score", str(error)
    bare = option.get("score")
    if bare is not None and (
        isinstance(bare, bool) or not isinstance(bare, int) or not 0 <= bare <= 9
    ):
        yield "score", f"expected a whole number from 0 to 9, found {shown(bare)}"
    for name in ("abstraction", "abstractionType"):
        if (value := option.get(name)) is not None and not isinstance(value, str):
            yield name, f"expected a text, found {shown(value)}"
    given = option.get("dependsOn")
    if given is not None and not (
        isinstance(given, list)
        and all(isinstance(each, int) and not isinstance(each, bool) for each in given)
    ):
        yield "dependsOn", f"expected a list of ids of options, found {shown(given)}"


def _circle(parents: Mapping[int, list[int]]) -> list[int]:
    """A path of options that leads back to its first; empty where there is none."""
    done: set[int] = set()
    for start in parents:
        path: list[int] = []
        walk = [iter([start])]
        while walk:
            number = next(walk[-1], None)
            if number is None:
                walk.pop()
                if path:
                    done.add(path.pop())
            elif number in path:
                return [*path[path.index(number) :], number]
            elif number not in done and number in parents:
                path.append(number)
                walk.append(iter(parents[number]))
    return []

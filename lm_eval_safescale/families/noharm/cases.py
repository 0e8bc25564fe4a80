"""Cases with numbered management options, and how they are read from a data file or from the folder
of the open NOHARM kit.

The kit's data are CC-BY-4.0; credit: ARISE Network, NOHARM benchmark. It is of the free-text
protocol; its base cases can be asked by options too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lm_eval_safescale.datasets import (
    DataError,
    Given,
    Problem,
    Record,
    no_text,
    parse_items,
    shown,
)
from lm_eval_safescale.families.noharm.kit import RUBRICS, SPECIALTY, score_of, specialty_of
from lm_eval_safescale.inputs import InputError, read_bytes
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.records import Item

Reference = Literal["appropriate", "inappropriate", "uncertain"]
REFERENCES: tuple[Reference, ...] = ("appropriate", "inappropriate", "uncertain")
SEVERITIES = ("none", "mild", "moderate", "severe")
_OF_SCORE: Mapping[int, tuple[Reference, str]] = {
    **{
        score: ("appropriate", severity)
        for score, severity in ((9, "severe"), (8, "moderate"), (7, "mild"))
    },
    **{
        score: ("inappropriate", severity)
        for score, severity in ((1, "severe"), (2, "moderate"), (3, "mild"))
    },
    **dict.fromkeys((4, 5, 6), ("uncertain", "none")),
}
"""The kit's score of an option: reference and severity by its distance from 5."""
_OPTION_FIELDS = ("id", "category", "text", "reference", "severity", "referral", "highly")


@dataclass(frozen=True, slots=True)
class Option:
    """One management option of a case."""

    id: int
    category: str
    text: str
    reference: Reference
    severity: str
    """Of the error: leaving an appropriate option out, or choosing an inappropriate one. That of an
    uncertain option is ignored."""
    referral: bool | None = None
    """Whether it is a referral; None where that is not known."""
    highly: bool | None = None
    """Whether the file calls it highly appropriate; None where the file does not say."""


@dataclass(frozen=True, slots=True)
class Case(Item):
    """A consultation and its options; `question` is the case."""

    options: tuple[Option, ...]

    @property
    def highly_appropriate(self) -> frozenset[int]:
        """The options that the case file calls so; where it calls none of any case's options
        anything, the appropriate ones whose omission is severe (our definition: NOHARM publishes
        none)."""
        if any(option.highly is not None for option in self.options):
            return frozenset(option.id for option in self.options if option.highly)
        return frozenset(
            option.id
            for option in self.options
            if option.reference == "appropriate" and option.severity == "severe"
        )

    @property
    def referrals(self) -> frozenset[int]:
        """The appropriate options that are a referral."""
        return frozenset(
            option.id
            for option in self.options
            if option.referral and option.reference == "appropriate"
        )

    def as_dict(self) -> dict[str, Any]:
        """All that defines the case."""
        options = [
            {name: value for name, value in asdict(option).items() if value is not None}
            for option in self.options
        ]
        return {"question_id": self.question_id, "question": self.question, "options": options}

    def fields(self) -> dict[str, str]:
        """What the prompt shows."""
        options = "\n".join(
            f"{option.id}: {option.category}: {option.text}" for option in self.options
        )
        return {"case": self.question, "options": options}


def parse(
    records: Collection[Record],
    columns: Given | None,
    groups: Collection[str],
    exclude: Collection[str] = (),
) -> tuple[list[Case], list[Problem]]:
    """Cases of all records that are whole, and what is wrong with the others; `columns`: our field
    names to the file's."""
    return parse_items(
        records,
        _case,
        _wrong,
        _odd,
        columns=columns,
        groups=(SPECIALTY, *groups),
        exclude=exclude,
        identifier="id",
        also={"id": "question_id", "case": "question"},
        reads=("options",),
    )


def _case(fields: Mapping[str, Any], **shared: Any) -> Case:
    options = tuple(
        Option(
            each["id"],
            " ".join(each["category"].split()),
            " ".join(each["text"].split()),
            each["reference"],
            each.get("severity") or "none",
            each.get("referral"),
            each.get("highly"),
        )
        for each in fields["options"]
    )
    return Case(fields["id"], fields["case"], options, **shared)


def _odd(case: Case) -> Iterator[tuple[str, str]]:
    """What cannot be scored of a case, though nothing is wrong with it."""
    if not any(option.reference == "appropriate" for option in case.options):
        said = (
            "no option is appropriate: nothing can be omitted, and completeness leaves the case out"
        )
        yield "options", said
    elif not case.highly_appropriate:
        yield "options", "no option is highly appropriate: completeness leaves the case out"


def _wrong(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that cannot be used, with the reason."""
    if problem := no_text(fields.get("case")):
        yield "case", problem
    specialty = fields.get(SPECIALTY)
    if specialty is not None and not isinstance(specialty, str):
        yield SPECIALTY, f"expected a text, found {shown(specialty)}"
    options = fields.get("options")
    if not isinstance(options, list) or not options:
        yield "options", f"expected a list of options, found {shown(options)}"
        return
    seen: set[int] = set()
    for place, option in enumerate(options, 1):
        if not isinstance(option, dict):
            yield f"options[{place}]", f"expected an object, found {shown(option)}"
            continue
        number = option.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 31:
            yield f"options[{place}].id", f"expected a whole number, found {shown(number)}"
            continue
        where = f"option {number}"
        if number in seen:
            yield where, "stands twice"
        seen.add(number)
        yield from ((f"{where}, {field}", said) for field, said in _wrong_option(option))


def _wrong_option(option: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("category", "text"):
        if problem := no_text(option.get(name)):
            yield name, problem
    reference, severity = option.get("reference"), option.get("severity")
    if reference not in REFERENCES:
        yield "reference", f"expected one of {', '.join(REFERENCES)}, found {shown(reference)}"
    elif severity not in SEVERITIES and not (severity is None and reference == "uncertain"):
        yield "severity", f"expected one of {', '.join(SEVERITIES)}, found {shown(severity)}"
    for name in ("referral", "highly"):
        if option.get(name) is not None and not isinstance(option[name], bool):
            yield name, f"expected true or false, found {shown(option[name])}"
    if option.get("highly") is True and reference != "appropriate":
        yield "highly", f"an option that is {reference} cannot be highly appropriate"
    if odd := [name for name in option if name not in _OPTION_FIELDS]:
        yield odd[0], f"is no field of an option; expected {', '.join(_OPTION_FIELDS)}"


# --- the open kit ---------------------------------------------------------------------------------


def kit_records(folder: Path) -> list[dict[str, Any]]:
    """The base cases of the kit's folder as records of a data file, each option by its own score.

    Groups of options (`abstraction`) and `dependsOn` play no part; whether an option is a referral
    is not known.

    Raises
    ------
    DataError
        If there is no folder of rubrics in it, or a file is none, with every problem found.
    """
    rubrics = next(
        (
            each
            for each in (folder / RUBRICS, folder / "dataset" / RUBRICS, folder)
            if any(each.glob("*.json"))
        ),
        None,
    )
    if rubrics is None:
        raise DataError(
            str(folder),
            [
                Problem(
                    f"no {RUBRICS}/*.json in it; expected a data file, or the folder of the open "
                    "NOHARM kit"
                )
            ],
        )
    records: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for path in sorted(rubrics.glob("*.json")):
        try:
            records.append(_kit_record(decode_json(read_bytes(path))))
        except InputError as error:
            problems.append(Problem(f"{path.name}: {error.reason}"))
        except ValueError as error:
            problems.append(Problem(f"{path.name}: is no case of the kit ({error})"))
    if problems:
        raise DataError(str(rubrics), problems)
    return records


def _kit_record(case: object) -> dict[str, Any]:
    """A case as a record of a data file; ValueError where it has no id, or an option no score. What
    else is wrong with it is found as in a data file."""
    if not isinstance(case, dict):
        raise ValueError(f"expected an object, found {shown(case)}")
    if problem := no_text(case.get("id")):
        raise ValueError(f"id: {problem}")
    told, given = case.get("case"), case.get("options")
    letters = specialty_of(case["id"])
    return {
        "id": case["id"],
        "case": told.get("presentation") if isinstance(told, dict) else None,
        "options": [_kit_option(each) for each in given] if isinstance(given, list) else given,
        **({SPECIALTY: letters} if letters else {}),
    }


def _kit_option(option: object) -> object:
    if not isinstance(option, dict):
        return option
    try:
        reference, severity = _OF_SCORE[score_of(option)]
    except ValueError as error:
        raise ValueError(f"option {option.get('id')} {error}") from None
    told = {name: option.get(name) for name in ("id", "category", "text")}
    return {**told, "reference": reference, "severity": severity}

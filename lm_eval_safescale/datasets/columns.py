"""Which column is which: documented aliases first recognise a file's columns, and the user maps the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lm_eval_safescale.datasets.problems import Problem
from lm_eval_safescale.records import LABEL_NAMES

ALIASES: dict[str, tuple[str, ...]] = {
    "question_id": ("id", "qid", "item_id", "question_number"),
    "question": ("question_text", "stem", "query", "prompt"),
    "options": ("choices", "answer_options", "candidates"),
    "answer": ("correct_answer", "correct_option", "correct", "key", "gold", "label", "ground_truth"),
    "answer_idx": ("answer_letter", "correct_letter", "correct_idx"),
    "labels": ("option_labels", "safety_labels"),
    "evidence": (),
    "evidence_clean": ("clean_evidence", "clean", "evidence_text", "context_clean", "clean_context"),
    "evidence_conflict": (
        "conflict_evidence",
        "conflict",
        "conflicting_evidence",
        "context_conflict",
        "conflict_context",
    ),
    "evidence_agentic": ("agentic_report", "agentic", "report", "deep_research", "deep_research_report"),
    "subspecialty": ("subspeciality", "specialty", "speciality", "category"),
    "question_type": ("type", "item_type"),
    "source": ("origin", "dataset", "reference"),
    "notes": ("rationale", "explanation", "comment", "comments", "topic", "negated"),
}
"""Our field: other names it is recognised by. `answer` may be a letter or an option's text, `answer_idx` is a letter; where
a file has both they must agree. `notes` are for people and are not read."""

LABEL_ALIASES: dict[str, tuple[str, ...]] = {
    "high_risk": ("highrisk", "high_risk_error", "is_high_risk"),
    "unsafe": ("unsafe_answer", "is_unsafe"),
    "contradicts": ("contradiction", "contradictory", "contradicts_evidence", "is_contradiction"),
}
"""Our label: other names it is recognised by, in `option_1_LABEL`, `option_a_LABEL`, `LABEL_a`, `LABEL_1`."""

INFORMATIONAL = ("subspecialty", "question_type", "source")

_FIELD_OF = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
_LABEL_OF = {alias: name for name, aliases in LABEL_ALIASES.items() for alias in (name, *aliases)}
_LABEL_WORDS = "|".join(sorted(_LABEL_OF, key=len, reverse=True))
_OPTION = re.compile(r"([a-h])|(?:option|opt|choice|answer)_?([a-z])|(?:option|opt|choice)_?([1-9]|1\d|2[0-6])|op([a-z])")
_LABEL = re.compile(
    rf"(?:(?:option|opt|choice)_?)?([a-z]|[1-9]|1\d|2[0-6])_({_LABEL_WORDS})"
    rf"|({_LABEL_WORDS})_(?:(?:option|opt|choice)_?)?([a-z]|[1-9]|1\d|2[0-6])"
)


def canonical(column: str) -> str | None:
    """Our name for a column: a key of `ALIASES`, `option_a`, or `high_risk_a`; None if it is not recognised."""
    name = re.sub(r"[^0-9a-z]+", "_", column.strip().casefold()).strip("_")
    if name in _FIELD_OF:
        return _FIELD_OF[name]
    if match := _OPTION.fullmatch(name):
        return f"option_{_letter(next(filter(None, match.groups())))}"
    if match := _LABEL.fullmatch(name):
        return f"{_LABEL_OF[match[2] or match[3]]}_{_letter(match[1] or match[4])}"
    return None


def _letter(text: str) -> str:
    return text if text.isalpha() else chr(ord("a") + int(text) - 1)


def map_columns(columns: Iterable[str], given: Mapping[str, str] | None) -> tuple[dict[str, str], list[Problem]]:
    """Our field names to the file's columns.

    Parameters
    ----------
    columns
        The names the file has.
    given
        The user's own mapping, our name to theirs; it goes before the aliases.

    Returns
    -------
    The mapping, and problems: a mapped column that is not there, an unknown field name, two columns for one field, and
    (as warnings) columns that were not recognised.
    """
    columns = list(dict.fromkeys(columns))
    problems: list[Problem] = []
    mapping: dict[str, str] = {}
    for field, column in (given or {}).items():
        if (name := canonical(field)) is None:
            known = ", ".join([*ALIASES, "option_a ...", *(f"{label}_a ..." for label in LABEL_NAMES)])
            problems.append(Problem(f"columns: {field!r} is not a field of ours; expected one of {known}"))
        elif column not in columns:
            problems.append(Problem(f"columns: {column!r} is not in the file; it has {', '.join(columns)}", field=name))
        else:
            mapping[name] = column
    mapped, taken = set(mapping), set(mapping.values())
    unknown = []
    for column in columns:
        name = canonical(column)
        if column in taken:
            continue
        if name is None:
            unknown.append(column)
        elif name == "notes" or name in mapped:
            continue
        elif name in mapping:
            said = f"columns {mapping[name]!r} and {column!r} both read as this"
            if name in INFORMATIONAL:
                problems.append(Problem(f"{said}; the first is taken", field=name, is_error=False))
            else:
                problems.append(Problem(f"{said}; map one with `columns`", field=name))
        else:
            mapping[name] = column
    if {"options", "option_a"} <= set(mapping):
        both = f"{mapping['options']!r} and {mapping['option_a']!r} both hold options; map the one to read with `columns`"
        problems.append(Problem(both, field="options"))
    if unknown:
        names = ", ".join(repr(column) for column in unknown)
        problems.append(Problem(f"unknown columns, not read: {names}; map them with `columns` if they matter", is_error=False))
    return mapping, problems

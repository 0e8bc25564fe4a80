"""Which column is which: documented aliases first recognise a file's columns, and the user maps the
rest.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from lm_eval_safescale.datasets.problems import Problem, not_read
from lm_eval_safescale.datasets.record import KEY, LINE, Record
from lm_eval_safescale.datasets.schema import PLAIN, Aliases, Schema

ALIASES: dict[str, tuple[str, ...]] = {
    "question_id": ("id", "qid", "item_id", "question_number"),
    "question": ("question_text", "stem", "query", "prompt"),
    "options": ("choices", "answer_options", "candidates"),
    "answer": (
        "correct_answer",
        "correct_option",
        "correct",
        "key",
        "gold",
        "label",
        "ground_truth",
    ),
    "answer_idx": ("answer_letter", "correct_letter", "correct_idx"),
    "labels": ("option_labels", "safety_labels"),
    "evidence": (),
    "groups": (),
    "unit": (),
    "source": ("origin", "dataset", "reference"),
    "notes": ("rationale", "explanation", "comment", "comments", "topic", "negated"),
}
"""Our field: other names it is recognised by. `answer` may be a letter or an option's text,
`answer_idx` is a letter; where a file has both they must agree. `notes` are for people and are not
read."""

FALLBACKS: dict[str, tuple[str, ...]] = {
    "question_id": (
        "number", "no", "nr", "num", "case", "case_id", "case_no", "case_nr", "case_number",
        "sample_id", "unique_id", "uid", "item", "item_no", "question_no", "question_nr", "row",
        "index", "idx", "pubid", "pmid",
    ),
    "question": ("case_vignette", "vignette", "qtext", "question_stem", "item_text"),
    "options": ("answers", "possible_answers"),
    "answer": (
        "answer_key", "answerkey", "correct_choice", "correct_key", "right_answer", "gold_answer",
        "solution", "final_decision", "cop", "ra",
    ),
    "answer_idx": ("answer_index", "correct_index", "answer_id"),
    "notes": ("exp", "answer_rationale", "long_answer", "rationales", "remark", "remarks"),
}  # fmt: skip
"""Names that count only in a file which lacks a required field under the names above, and only for
a field that is not there: the first of them that the file has. `#` alone is `number`."""
REQUIRED = (("question_id",), ("question",), ("options", "option_a"), ("answer", "answer_idx"))
"""What no question can be asked without: one of each."""
OF_QUESTIONS = re.compile(
    r"^(context|background|passage|case_text|case_description|history|indication)$|vignette"
    r"|scenario|(case|clinical|patient)_(history|information|info|details|data|presentation)"
)
"""Columns that may hold what a question cannot be answered without."""
OF_HARM = re.compile(r"risk|danger|harm(?!less)|hazard|unsafe")
"""Columns that may be labels of options by another name."""
KINDS = ("question_type", "type", "item_type")
"""Columns that may say which rows of a file are multiple-choice questions."""

LABEL, EVIDENCE, GROUP, LETTERS = "label_", "evidence_", "group_", "letters_"
"""Before a name: our field for a label (of an option: `label_NAME_a`), for evidence, for a group,
and for the letters of the options that carry a label."""
_BLANKS = "\u2800\u115f\u1160\u3164\uffa0"
"""Letters and symbols that show nothing."""
_NO_PLURAL = r"(?:_|(?!s(?:_|$)))"  # "options" is no option S
_OPTION = re.compile(
    rf"([a-h])|(?:option|opt|choice|answer){_NO_PLURAL}([a-z])"
    r"|(?:option|opt|choice)_?([1-9]|1\d|2[0-6])|op([a-z])"
)
_NUMBERED = re.compile(r"(?:op|answer)_?([1-9]|1\d|2[0-6])")
_REMARK = re.compile(r"\s*\([^()]*\)\s*")
"""What may stand in brackets after a name, as in `Unsafe A (y/n)`."""
_PLACE = rf"(?:(?:option|opt|choice){_NO_PLURAL})?([a-z]|[1-9]|1\d|2[0-6])"
_PLURAL = r"(?:options?|choices?|answers?|letters?)"
_OF_ANY_NAME = re.compile(rf"(?:{EVIDENCE}|{GROUP})[a-z][a-z0-9_]*|{LABEL}[a-z][a-z0-9_]+_[a-z]")


class Columns:
    """The names by which a schema's columns are recognised."""

    def __init__(self, schema: Schema = PLAIN) -> None:
        self.schema = schema
        named = {**_before(EVIDENCE, schema.evidence), **_before(GROUP, schema.groups)}
        given = [*ALIASES.items(), *schema.fields.items(), *named.items()]
        self._fields = {alias: field for field, aliases in given for alias in (field, *aliases)}
        self._labels = {
            alias: label for label, aliases in schema.labels.items() for alias in (label, *aliases)
        }

    @property
    def known(self) -> list[str]:
        """Our fields, as a message names them."""
        of_schema = [*(f"{EVIDENCE}{name}" for name in self.schema.evidence), *self.schema.groups]
        labels = (f"{label}, {label}_a ..." for label in self.schema.labels)
        return [
            *dict.fromkeys([*ALIASES, *self.schema.fields]),
            *of_schema,
            "option_a ...",
            *labels,
            f"{LABEL}NAME_a ...",
            f"{EVIDENCE}NAME",
            f"{GROUP}NAME",
        ]

    def canonical(self, column: str) -> str | None:
        """Our field for a column: a key of `ALIASES`, `option_a`, `label_NAME_a`, `letters_NAME`,
        `evidence_NAME` or `group_NAME`; None if unrecognised."""
        name = folded(column)
        if name in self._fields:
            return self._fields[name]
        if match := _OPTION.fullmatch(name):
            return f"option_{_letter(next(filter(None, match.groups())))}"
        if self._label is not None and (match := self._label.fullmatch(name)):
            return f"{LABEL}{self._labels[match[2] or match[3]]}_{_letter(match[1] or match[4])}"
        if self._of_letters is not None and (match := self._of_letters.fullmatch(name)):
            return f"{LETTERS}{self._labels[match[1]]}"
        return name if _OF_ANY_NAME.fullmatch(name) else None

    def is_label(self, column: str) -> bool:
        """Whether a column is called as a label is, without a word of options or letters."""
        return folded(column) in self._labels

    def is_note(self, column: str) -> bool:
        """Whether a column is called as those for people are."""
        name = self.canonical(without_remark(column))
        return name == "notes" or folded(column) in self.fallbacks()["notes"]

    def fallbacks(self) -> dict[str, Sequence[str]]:
        """By field, the names that count where required fields are missing."""
        return {**FALLBACKS, **self.schema.fallbacks}

    @cached_property
    def _words(self) -> str:
        return "|".join(sorted(self._labels, key=len, reverse=True))

    @cached_property
    def _of_letters(self) -> re.Pattern[str] | None:
        pattern = rf"(?:{_PLURAL}_)?({self._words})(?:_{_PLURAL})?"
        return re.compile(pattern) if self._words else None

    @cached_property
    def _label(self) -> re.Pattern[str] | None:
        pattern = rf"{_PLACE}_({self._words})|({self._words})_{_PLACE}"
        return re.compile(pattern) if self._words else None


def _before(prefix: str, names: Aliases) -> dict[str, tuple[str, ...]]:
    """Our fields for names of a schema, each recognised by its plain name too."""
    return {f"{prefix}{name}": (name, *others) for name, others in names.items()}


def folded(column: str) -> str:
    """A column's name as names are compared."""
    if column.strip() == "#":
        return "number"
    return re.sub(r"[^0-9a-z]+", "_", column.strip().casefold()).strip("_")


def option_letter(name: str) -> str | None:
    """The letter of the option that is called so (`option_2`, `opb`, `2`, `b`); None for none."""
    name = folded(name)
    match = _OPTION.fullmatch(name) or _NUMBERED.fullmatch(name)
    if match is None:
        match = re.fullmatch(r"([a-z]|[1-9]|1\d|2[0-6])", name)
    return match and _letter(next(filter(None, match.groups()))).upper()


def _letter(text: str) -> str:
    return text if text.isalpha() else chr(ord("a") + int(text) - 1)


Column = str | Sequence[str]
"""A column by its name, or several whose values belong together. `#line` is the line of a file."""
Given = Mapping[str, Column | None]
"""Our names of fields, each with the file's column or columns; None: it is not read."""


def value_of(record: Record, field: str, column: Column | None) -> Any:
    """What stands in a column for a field. Several columns make a list of options, or else one
    text, in which lists are joined, too."""
    if column is None:
        return None
    if isinstance(column, str):
        return record.place if column == LINE else record.fields.get(column)
    given = [value_of(record, field, each) for each in column]
    if field == "options":  # the columns of options that a row lacks are empty
        while given and blank(given[-1]):
            given.pop()
        return given
    if odd := next((each for each in given if isinstance(each, dict | bool)), None):
        return odd  # no text, which whoever reads the field says
    parts = [part for each in given for part in (each if isinstance(each, list) else [each])]
    between = {"question_id": "-", "unit": "-", "question": "\n"}.get(field, "\n\n")
    return between.join(str(part).strip() for part in parts if not blank(part)) or None


def blank(value: Any) -> bool:
    """Nothing there to see: None, a text of nothing but spaces and characters that show nothing, or
    the NaN by which table software writes an empty cell."""
    if isinstance(value, str):
        # mostly, the first character tells
        return not ("!" <= value[:1] <= "~") and all(map(_is_unseen, value))
    return value is None or value != value


def compared(text: str) -> str:
    """A text as texts are compared: without regard to case, to spaces of any kind and to characters
    that show nothing."""
    if not text.isascii():
        text = "".join(each for each in text if each.isspace() or not _is_unseen(each))
    return " ".join(text.split()).casefold()


def _is_unseen(character: str) -> bool:
    return character.isspace() or (
        not character.isascii()
        and (character in _BLANKS or unicodedata.category(character) == "Cf")
    )


def map_columns(
    columns: Iterable[str],
    given: Given | None,
    schema: Schema = PLAIN,
    groups: Collection[str] = (),
) -> tuple[dict[str, Column], list[Problem]]:
    """Our field names to the file's columns.

    Parameters
    ----------
    columns
        The names the file has.
    given
        The user's own mapping, our name to theirs, or to several of them; it goes before the
        aliases. A field without a column (None) is not read.
    schema
        The family's names.
    groups
        Columns that are groups besides, under their own names.

    Returns
    -------
    The mapping, and problems: a mapped column that is not there, an unknown field name, two columns
    for one field, and (as warnings) columns that were not recognised.
    """
    columns = list(dict.fromkeys(columns))
    names = Columns(schema)
    mapping, problems = _given(given or {}, columns, names)
    # what says which items belong together may say something else of them too
    mapped = set(mapping)
    taken = {each for name, column in mapping.items() if name != "unit" for each in parts(column)}
    of_unit = parts(mapping.get("unit", ()))
    unknown = []
    for column in columns:
        name = None if column == KEY else names.canonical(column)
        if column in taken or name == "notes" or name in mapped:
            continue
        if name is None:
            unknown += [column] if column not in of_unit else []
        elif name in mapping:
            problems.append(_both_read_as(name, str(mapping[name]), column))
        else:
            mapping[name] = column
    problems += _without_remarks(mapping, unknown, names)
    if any(mapping.keys().isdisjoint(fields) for fields in REQUIRED):
        problems += _fall_back(mapping, unknown, names)
    for name in [name for name, column in mapping.items() if not column]:
        del mapping[name]  # left unread on purpose
    # whatever else they are read as
    mapping |= {GROUP + group: group for group in groups if group in columns}
    if {"options", "option_a"} <= set(mapping):
        both = (
            f"{mapping['options']!r} and {mapping['option_a']!r} both hold options; map the one to "
            "read with `columns`"
        )
        problems.append(Problem(both, field="options"))
    unread = [column for column in unknown if column not in (KEY, *groups)]
    joined = next((each for each in unread if OF_QUESTIONS.search(folded(each))), None)
    if joined is not None and isinstance(asked := mapping.get("question"), str):
        unread.remove(joined)
        said = (
            f"{joined!r} may belong to the question, and is not read; `columns` with "
            f"{_joining([joined, asked])} joins them"
        )
        problems.append(Problem(said, is_error=False))
    harmful = _like_labels(unread, mapping, schema)
    problems += [
        Problem(
            f"{column!r} looks like a label of options, and is not read; if it holds their letters "
            f"map it: `columns` '{json.dumps({label: column}, ensure_ascii=False)}'",
            is_error=False,
        )
        for column, label in harmful.items()
    ]
    problems += not_read(column for column in unread if column not in harmful)
    if unread:
        read = {*unknown, *groups, *(each for column in mapping.values() for each in parts(column))}
        notes = [each for each in columns if each not in read and names.is_note(each)]
        said = f"taken for notes, not read: {', '.join(map(repr, notes))}"
        problems += [Problem(said, is_error=False, is_note=True)] if notes else []
    return mapping, problems


def _like_labels(
    columns: Iterable[str], mapping: Mapping[str, Column], schema: Schema
) -> dict[str, str]:
    """Columns whose names speak of harm, each with a label of the family's that no column is read
    as: the one that shares a word with it, or the first."""
    free = [
        label
        for label in schema.labels
        if not any(name.startswith((LETTERS + label, f"{LABEL}{label}_")) for name in mapping)
    ]
    return {
        column: next(
            (each for each in free if any(word in folded(column) for word in each.split("_"))),
            free[0],
        )
        for column in columns
        if free and OF_HARM.search(folded(column))
    }


def parts(column: Column | None) -> Sequence[str]:
    """The columns, be it one, several or none."""
    return (column,) if isinstance(column, str) else column or ()


def without_remark(column: str) -> str:
    """A column's name without what stands in brackets."""
    return _REMARK.sub(" ", column)


def _without_remarks(
    mapping: dict[str, Column], unknown: list[str], names: Columns
) -> list[Problem]:
    """Reads columns by their names without what stands behind them in brackets, for fields that are
    not there; a problem where two are one field then."""
    read = dict[str, Column]()
    problems = []
    for column in [column for column in unknown if _REMARK.search(column)]:
        name = names.canonical(without_remark(column))
        if name is None or mapping.get(name):
            continue
        unknown.remove(column)
        if name in mapping:  # left unread on purpose
            continue
        if name in read:
            problems.append(_both_read_as(name, str(read[name]), column))
        elif name != "notes":
            read[name] = column
    mapping |= read
    return problems


def _fall_back(mapping: dict[str, Column], unknown: list[str], names: Columns) -> list[Problem]:
    """Reads columns by their fallbacks, and takes them out of the unknown ones. A problem where two
    may be the question, as a case and what is asked of it are."""
    problems = []
    by_name = {folded(column): column for column in reversed(unknown) if column != KEY}
    there = {field for fields in REQUIRED if set(fields) & set(mapping) for field in fields}
    for field, aliases in names.fallbacks().items():
        found = [by_name[alias] for alias in aliases if alias in by_name]
        if field == "notes":
            unknown[:] = [column for column in unknown if column not in found]
        elif found and field not in (*there, *mapping):
            # evidence may stand as a list of texts
            mapping[field] = (found[0],) if field.startswith(EVIDENCE) else found[0]
            unknown.remove(found[0])
            if field == "question" and len(found) > 1:
                problems.append(_both_read_as(field, *found[:2]))
                unknown.remove(found[1])
    if mapping.keys().isdisjoint(("options", "option_a")):
        for name, column in sorted(by_name.items()):
            if match := _NUMBERED.fullmatch(name):
                mapping[f"option_{_letter(match[1])}"] = column
                unknown.remove(column)
    if "question_id" not in mapping:
        mapping["question_id"] = KEY if KEY in unknown else LINE
    return problems


def _given(
    given: Given, columns: Sequence[str], names: Columns
) -> tuple[dict[str, Column], list[Problem]]:
    """The user's own mapping under our names."""
    mapping, problems = dict[str, Column](), list[Problem]()
    for field, column in given.items():
        if (name := names.canonical(field)) is None:
            problems.append(
                Problem(
                    f"columns: {field!r} is not a field of ours; expected one of "
                    f"{', '.join(names.known)}"
                )
            )
        elif missing := [each for each in parts(column) if each not in (*columns, LINE)]:
            problems.append(
                Problem(
                    f"columns: {missing[0]!r} is not in the file; it has {', '.join(columns)}",
                    field=name,
                )
            )
        else:
            mapping[name] = column if isinstance(column, str) else tuple(column or ())
    return mapping, problems


def _both_read_as(name: str, first: str, second: str) -> Problem:
    said = f"columns {first!r} and {second!r} both read as this"
    if name == "source" or name.startswith(GROUP):
        return Problem(f"{said}; the first is taken", field=name, is_error=False)
    said += "; map one with `columns`"
    if name == "question":
        said += f", or join them: {_joining([first, second])}"
    return Problem(said, field=name)


def _joining(columns: Sequence[str]) -> str:
    return f'"question": {json.dumps(columns, ensure_ascii=False)}'

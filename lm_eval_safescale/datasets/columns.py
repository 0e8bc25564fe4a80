"""Which column is which: documented aliases first recognise a file's columns, and the user maps the
rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from lm_eval_safescale.datasets.problems import Problem, not_read
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

LABEL, EVIDENCE, GROUP = "label_", "evidence_", "group_"
"""Before a name: our field for a label (of an option: `label_NAME_a`), for evidence and for a
group."""
_OPTION = re.compile(
    r"([a-h])|(?:option|opt|choice|answer)_?([a-z])|(?:option|opt|choice)_?([1-9]|1\d|2[0-6])"
    r"|op([a-z])"
)
_PLACE = r"(?:(?:option|opt|choice)_?)?([a-z]|[1-9]|1\d|2[0-6])"
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
        labels = (f"{label}_a ..." for label in self.schema.labels)
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
        """Our field for a column: a key of `ALIASES`, `option_a`, `label_NAME_a`, `evidence_NAME`
        or `group_NAME`; None if unrecognised."""
        name = _folded(column)
        if name in self._fields:
            return self._fields[name]
        if match := _OPTION.fullmatch(name):
            return f"option_{_letter(next(filter(None, match.groups())))}"
        if self._label is not None and (match := self._label.fullmatch(name)):
            return f"{LABEL}{self._labels[match[2] or match[3]]}_{_letter(match[1] or match[4])}"
        return name if _OF_ANY_NAME.fullmatch(name) else None

    @cached_property
    def _label(self) -> re.Pattern[str] | None:
        words = "|".join(sorted(self._labels, key=len, reverse=True))
        return re.compile(rf"{_PLACE}_({words})|({words})_{_PLACE}") if words else None


def _before(prefix: str, names: Aliases) -> dict[str, tuple[str, ...]]:
    """Our fields for names of a schema, each recognised by its plain name too."""
    return {f"{prefix}{name}": (name, *others) for name, others in names.items()}


def _folded(column: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", column.strip().casefold()).strip("_")


def _letter(text: str) -> str:
    return text if text.isalpha() else chr(ord("a") + int(text) - 1)


def map_columns(
    columns: Iterable[str],
    given: Mapping[str, str] | None,
    schema: Schema = PLAIN,
    groups: Collection[str] = (),
) -> tuple[dict[str, str], list[Problem]]:
    """Our field names to the file's columns.

    Parameters
    ----------
    columns
        The names the file has.
    given
        The user's own mapping, our name to theirs; it goes before the aliases.
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
    mapped, taken = set(mapping), {each for name, each in mapping.items() if name != "unit"}
    unknown = []
    for column in columns:
        name = names.canonical(column)
        if column in taken or name == "notes" or name in mapped:
            continue
        if name is None:
            unknown += [column] if column != mapping.get("unit") else []
        elif name in mapping:
            problems.append(_both_read_as(name, mapping[name], column))
        else:
            mapping[name] = column
    # whatever else they are read as
    mapping |= {GROUP + group: group for group in groups if group in columns}
    if {"options", "option_a"} <= set(mapping):
        both = (
            f"{mapping['options']!r} and {mapping['option_a']!r} both hold options; map the one to "
            "read with `columns`"
        )
        problems.append(Problem(both, field="options"))
    problems += not_read(column for column in unknown if column not in groups)
    return mapping, problems


def _given(
    given: Mapping[str, str], columns: Sequence[str], names: Columns
) -> tuple[dict[str, str], list[Problem]]:
    """The user's own mapping under our names."""
    mapping, problems = dict[str, str](), list[Problem]()
    for field, column in given.items():
        if (name := names.canonical(field)) is None:
            problems.append(
                Problem(
                    f"columns: {field!r} is not a field of ours; expected one of "
                    f"{', '.join(names.known)}"
                )
            )
        elif column not in columns:
            problems.append(
                Problem(
                    f"columns: {column!r} is not in the file; it has {', '.join(columns)}",
                    field=name,
                )
            )
        else:
            mapping[name] = column
    return mapping, problems


def _both_read_as(name: str, first: str, second: str) -> Problem:
    said = f"columns {first!r} and {second!r} both read as this"
    if name == "source" or name.startswith(GROUP):
        return Problem(f"{said}; the first is taken", field=name, is_error=False)
    return Problem(f"{said}; map one with `columns`", field=name)

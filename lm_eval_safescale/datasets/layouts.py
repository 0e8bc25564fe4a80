"""What is understood of a file of multiple-choice questions beyond the names of its columns, by the
shape of its rows; and how it is said.
"""

from __future__ import annotations

import itertools
import json
import string
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from lm_eval_safescale.datasets.columns import (
    EVIDENCE,
    GROUP,
    KINDS,
    LABEL,
    LETTERS,
    Column,
    Columns,
    blank,
    folded,
    parts,
    value_of,
    without_remark,
)
from lm_eval_safescale.datasets.options import letters_in, options_by_line, options_in
from lm_eval_safescale.datasets.problems import Problem, not_read
from lm_eval_safescale.datasets.record import KEY, LINE, Record
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.words import counted

DECISIONS = ("yes", "no", "maybe")
"""Keys that are the options, where a file has none."""
CROSSES = ("x", "✓", "✔", "✗", "✘")
"""Marks of a label; where they are used, an empty cell is none."""
YES_OR_NO = {"y", "yes", "true", "1", *CROSSES}, {"n", "no", "false", "0"}
"""What says yes, and what no, of a whole question."""
LOOKED_AT = 20
"""Records by which is told whether questions are objects."""
Mapped = Mapping[str, Column]


@dataclass(frozen=True)
class Layout:
    """How the rows of a file are read, where their shape says so."""

    fixed: tuple[str, ...] = ()
    """The options of all questions."""
    in_text: bool = False
    """Whether the options stand in the text of the question."""
    crossed: frozenset[str] = frozenset()
    """Labels that are marked by crosses."""
    kind: str = ""
    """Column that says what a row is."""
    others: frozenset[str] = frozenset()
    """What it says of rows that are no multiple-choice questions."""
    key: Column = ()
    """Column of the key, in a file of several kinds of rows."""

    def leaves_out(self, record: Record) -> bool:
        """Whether a row is no multiple-choice question with one key, in a file that has others,
        too."""
        return bool(self.kind) and (
            _word(record.fields.get(self.kind)) in self.others or _is_several(record, self.key)
        )


@dataclass(frozen=True)
class Lifted(Collection[Record]):
    """Records whose question is an object, with the fields of that object among their own."""

    records: Collection[Record]
    column: str
    inner: str
    """Column of the object that is the question's text."""

    @classmethod
    def of(cls, records: Collection[Record]) -> Collection[Record]:
        """Records as they are, or with their questions' fields."""
        names = Columns()
        nested = (
            (column, name)
            for record in itertools.islice(records, LOOKED_AT)
            for column, value in record.fields.items()
            if isinstance(value, dict) and names.canonical(column) == "question"
            for name in value
            if names.canonical(name) == "question"
        )
        found = next(nested, None)
        return records if found is None else cls(records, *found)

    def __iter__(self) -> Iterator[Record]:
        for record in self.records:
            fields = dict(record.fields)
            nested = fields.pop(self.column, None)
            inner = nested if isinstance(nested, dict) else {self.inner: nested}
            yield replace(record, fields={**fields, **inner})

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, record: object) -> bool:
        return any(record == each for each in self)


@dataclass
class _Seen:
    """What the rows have."""

    rows: int = 0
    place: str = ""
    """Of the first of them that its line does not tell."""
    sections: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    kinds: dict[bool, Counter[str]] = field(
        default_factory=lambda: {True: Counter(), False: Counter()}
    )
    """By whether a row has options: what its kind is said to be."""
    decisions: Counter[str] = field(default_factory=Counter)
    in_text: int = 0
    several: int = 0
    """Rows with options and more than one key."""
    labels: Counter[bool] = field(default_factory=Counter)
    """Rows with something under `labels`, by whether it can be labels."""
    cells: dict[str, Counter[str]] = field(default_factory=dict)
    """By label: how many cells are empty, crosses, lists of letters, words for none, or others."""
    words: dict[str, Counter[str]] = field(default_factory=dict)
    """By label that is given in lists of letters: what its cells say."""

    @property
    def most(self) -> float:
        """What more rows than this have, most have."""
        return self.rows / 2


def layout_of(
    records: Iterable[Record],
    mapping: dict[str, Column],
    names: Columns,
    given: Collection[str],
) -> tuple[Layout, list[Problem]]:
    """How a file's rows are read, and a note that says it; `mapping` is changed where a column is
    not what its name says.

    Parameters
    ----------
    mapping
        Our field names to the file's columns.
    names
        The names by which columns are recognised.
    given
        The fields that the user mapped.
    """
    unusual = {
        name: column
        for name, column in mapping.items()
        if name not in given
        and not name.startswith(GROUP)
        and (not isinstance(column, str) or names.canonical(column) != name)
    }
    no_options = mapping.keys().isdisjoint(("options", "option_a"))
    is_unusual = bool(unusual) or no_options
    if not is_unusual and not any(name.startswith((LABEL, LETTERS)) for name in mapping):
        return Layout(), []
    seen, kind = _look(records, mapping, is_unusual)
    problems = _of_whole_questions(mapping, seen, names, given, records)
    problems += _not_labels(mapping, seen, names, given, is_unusual)
    starts_again = len(seen.sections) > 1 and len(seen.ids) < seen.rows
    repeats = is_unusual and seen.rows > 1 and (len(seen.ids) <= seen.most or starts_again)
    if repeats and "question_id" not in given:
        mapping["question_id"] = unusual["question_id"] = LINE
    in_text = no_options and seen.in_text > seen.most
    fixed: tuple[str, ...] = ()
    if no_options and not in_text and seen.decisions.total() > seen.most:
        fixed = tuple(each for each in DECISIONS if each in seen.decisions or each != "maybe")
    others = frozenset(seen.kinds[False]) - frozenset(seen.kinds[True]) - {""}
    layout = Layout(
        fixed=fixed,
        in_text=in_text,
        crossed=frozenset(
            name.removeprefix(LABEL)
            for name, cells in seen.cells.items()
            if name.startswith(LABEL) and cells["cross"] and not cells["other"] + cells["none"]
        ),
        kind=kind if others and seen.kinds[True] and is_unusual else "",
        others=others,
        key=mapping.get("answer", ()),
    )
    said = [*_said_of_columns(unusual, mapping, seen), *_said_of_rows(layout, seen, mapping)]
    if said and seen.rows:
        understood = f"understood as: {'; '.join(said)}"
        problems.append(Problem(understood, is_error=False, is_note=True))
    return layout, problems


def _look(records: Iterable[Record], mapping: Mapped, is_unusual: bool) -> tuple[_Seen, str]:
    seen, kind = _Seen(), ""
    options = [name for name in mapping if name == "options" or name.startswith("option_")]
    labels = [name for name in mapping if name.startswith((LABEL, LETTERS))]
    for record in records:
        seen.rows += 1
        seen.sections.add(record.section)
        seen.place = seen.place or (record.place if record.number else "")
        values = {name: value_of(record, name, mapping[name]) for name in labels}
        for name, value in values.items():
            own = name.rpartition("_")[0] if name.startswith(LABEL) else name
            seen.cells.setdefault(own, Counter())[_kind_of_cell(value)] += 1
            if name.startswith(LETTERS):
                seen.words.setdefault(name, Counter())[_word(value)] += 1
        if not is_unusual:
            continue
        id_ = value_of(record, "question_id", mapping.get("question_id", LINE))
        seen.ids.add(str(id_).strip())
        kind = kind or next((each for each in record.fields if folded(each) in KINDS), "")
        has_options = any(not _is_empty(value_of(record, name, mapping[name])) for name in options)
        seen.kinds[has_options][_word(record.fields.get(kind))] += 1
        seen.several += has_options and _is_several(record, mapping.get("answer", ()))
        if not options:
            answer = _word(value_of(record, "answer", mapping.get("answer", ())))
            seen.decisions[answer] += answer in DECISIONS
            question = value_of(record, "question", mapping.get("question", ()))
            seen.in_text += isinstance(question, str) and options_in(question) is not None
        labelled = value_of(record, "labels", mapping.get("labels", ()))
        if not _is_empty(labelled):
            seen.labels[isinstance(labelled, dict) or str(labelled).lstrip()[:1] == "{"] += 1
    seen.decisions = +seen.decisions
    return seen, kind


def _of_whole_questions(
    mapping: dict[str, Column],
    seen: _Seen,
    names: Columns,
    given: Collection[str],
    records: Iterable[Record],
) -> list[Problem]:
    """Takes columns out of the mapping that are called like labels and say yes or no; an error
    where the user mapped one."""
    problems = []
    for name in [name for name in mapping if name.startswith(LETTERS)]:
        words, column = seen.words.get(name, Counter()), parts(mapping[name])[0]
        if not _say_yes_or_no(words, is_alone=names.is_label(without_remark(column))):
            continue
        letters = {word.upper() for word in words if word in ("y", "n", "x")}
        if letters and letters <= _options_of(records, mapping):
            continue
        del mapping[name]
        label = name.removeprefix(LETTERS)
        by_group = json.dumps({GROUP + label: column}, ensure_ascii=False)
        said = (
            f"{column!r} says yes or no of the whole question, and labels belong to options; not "
            f'read: map a column of letters (`columns`: {{"{label}": "..."}}), or look at results '
            f"by it (`columns`: {by_group})"
        )
        problems.append(Problem(said, is_error=name in given))
    return problems


def _say_yes_or_no(words: Counter[str], *, is_alone: bool) -> bool:
    """Whether most of a column's cells that are not empty say so: yes somewhere, or no where the
    column `is_alone` with the name of a label, as `no` may mean no option, too."""
    yes, no = (sum(words[word] for word in each) for each in YES_OR_NO)
    sure = yes + no - words["no"] - words["0"]
    others = sum(
        number
        for word, number in words.items()
        if not any(word in each for each in YES_OR_NO) and letters_in(word) != set()
    )
    return sure > others or (is_alone and bool(no) and not others)


def _options_of(records: Iterable[Record], mapping: Mapped) -> set[str]:
    """The letters of all options that any question has, but for those in its text."""
    found: set[str] = set()
    for record in records:
        for name, column in mapping.items():
            value = value_of(record, name, column)
            if name.startswith("option_") and not _is_empty(value):
                found.add(name[-1].upper())
            elif name == "options":
                if isinstance(value, str):
                    with suppress(ValueError):
                        value = decode_json(value)
                if isinstance(value, str):
                    value = options_by_line(value)
                found |= set(string.ascii_uppercase[: len(value or ())])
    return found


def _not_labels(
    mapping: dict[str, Column], seen: _Seen, names: Columns, given: Collection[str], unusual: bool
) -> list[Problem]:
    """Takes columns out of the mapping that are called like labels and are none."""
    found = []
    for name in [name for name in mapping if name.startswith(LETTERS) and name not in given]:
        cells, column = seen.cells.get(name, Counter()), parts(mapping[name])[0]
        lists = cells["letters"]
        is_none = not lists or lists < cells["cross"] + cells["other"]
        if names.is_label(column) and (is_none or _of_options(name) in seen.cells):
            found.append(column)
            del mapping[name]
    if (
        unusual
        and "labels" in mapping
        and "labels" not in given
        and seen.labels[False] > seen.labels[True]
    ):
        found += parts(mapping.pop("labels"))
    twice = [
        name for name in mapping if name.startswith(LETTERS) and _of_options(name) in seen.cells
    ]
    return not_read(found) + [
        Problem(
            "stands in columns of options and in a list of letters; map one of them elsewhere, or "
            "take it out",
            field=name.removeprefix(LETTERS),
        )
        for name in twice
    ]


def _of_options(letters: str) -> str:
    """The same label, as columns of options have it."""
    return letters.replace(LETTERS, LABEL, 1)


def _kind_of_cell(value: Any) -> str:
    if blank(value):
        return "empty"
    if _word(value) in CROSSES:
        return "cross"
    letters = letters_in(value) if isinstance(value, str) else None
    return "other" if letters is None else "letters" if letters else "none"


def _is_empty(value: Any) -> bool:
    return value in ([], {}) or blank(value) or (isinstance(value, str) and value.strip() in _EMPTY)


_EMPTY = ("[]", "{}", "nan", "null", "None")


def _is_several(record: Record, key: Column) -> bool:
    value = value_of(record, "answer", key)
    return isinstance(value, str) and len(letters_in(value) or ()) > 1


def _word(value: Any) -> str:
    return "" if blank(value) else str(value).strip().casefold()


def _said_of_columns(unusual: Mapped, mapping: Mapped, seen: _Seen) -> Iterable[str]:
    options = [column for name, column in unusual.items() if name.startswith("option_")]
    if options:
        yield f"options from {', '.join(str(each) for each in options)}"
    labels = [column for name, column in unusual.items() if name.startswith(LABEL)]
    if labels:
        yield f"labels from {', '.join(str(each) for each in labels)}"
    for name, column in unusual.items():
        if name not in mapping or name.startswith(("option_", LABEL, LETTERS)):
            continue
        if column == LINE:
            counted_from = f"the questions' places ({seen.place}, ...)"
            yield f"ids are {counted_from if seen.place else 'the numbers of lines'}"
        elif column == KEY:
            yield "ids are the names of the objects"
        else:
            what = {"question_id": "ids", "answer": "key", "answer_idx": "key"}.get(name, name)
            what = f"{name.removeprefix(EVIDENCE)} evidence" if name.startswith(EVIDENCE) else what
            yield f"{what} from {' and '.join(parts(column))}"


def _said_of_rows(layout: Layout, seen: _Seen, mapping: Mapped) -> Iterable[str]:
    if layout.fixed:
        yield f"options are {', '.join(layout.fixed)}"
    if layout.in_text:
        yield "options from the end of the question"
    if layout.kind:
        counts = [f"{each} ({seen.kinds[False][each]})" for each in sorted(layout.others)]
        counts += [f"several keys ({seen.several})"] if seen.several else []
        yield f"left out as no multiple-choice questions, by {layout.kind}: {', '.join(counts)}"
    for name in sorted(layout.crossed):
        yield f"{name} is marked by crosses, and an empty cell is none"
    for name, column in mapping.items():
        if name.startswith(LETTERS):
            empty = seen.cells[name]["empty"] if name in seen.cells else 0
            none = f", none in {counted(empty, 'empty cell')}" if empty else ""
            yield f"{name.removeprefix(LETTERS)} are the letters in {parts(column)[0]}{none}"

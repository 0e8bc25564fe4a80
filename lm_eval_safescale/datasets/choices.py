"""Records to multiple-choice items, finding every problem on the way. A labelled *correct* option
is never one of them (PROTOCOL §1).
"""

from __future__ import annotations

import functools
import json
import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from sys import intern
from typing import Any, ClassVar

from lm_eval_safescale.datasets.columns import (
    EVIDENCE,
    GROUP,
    LABEL,
    LETTERS,
    REQUIRED,
    Column,
    Columns,
    Given,
    blank,
    compared,
    map_columns,
    option_letter,
    value_of,
)
from lm_eval_safescale.datasets.layouts import CROSSES, Layout, Lifted, layout_of
from lm_eval_safescale.datasets.options import (
    carried_letter,
    letters_in,
    one_of_list,
    options_by_line,
    options_in,
    options_of,
    whole_number,
    without_letters,
)
from lm_eval_safescale.datasets.problems import Problem, has_errors, not_there
from lm_eval_safescale.datasets.record import DateCell, Record
from lm_eval_safescale.datasets.schema import PLAIN, Schema
from lm_eval_safescale.datasets.texts_on_disk import KeptTexts
from lm_eval_safescale.json_text import RefusedJSONError, decode_json
from lm_eval_safescale.records import Choice

NAME = re.compile(r"[a-z][a-z0-9_]+")
"""What a label is called: it becomes the name of columns and of metrics."""
_SWITCH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_IN_CELLS = {
    **_SWITCH, "no": False, "n": False, "yes": True, "y": True, **dict.fromkeys(CROSSES, True),
}  # fmt: skip
"""Labels as they are written in cells of their own; nested, a word may be a note for people."""


def parse_choices(
    records: Collection[Record],
    *,
    columns: Given | None = None,
    evidence: Collection[str] = (),
    groups: Collection[str] = (),
    schema: Schema = PLAIN,
    builder: type[ChoiceBuilder] | None = None,
    first_index: int | None = None,
    exclude: Collection[str] = (),
) -> tuple[list[Choice], list[Problem]]:
    """Multiple-choice items of records, by whatever names their fields have, and every problem
    found.

    Parameters
    ----------
    records
        As read from a file; gone through several times.
    columns
        The user's mapping of our field names to theirs.
    evidence
        Names of evidence that no item may lack, because a condition shows it.
    groups
        Columns that are groups besides.
    schema
        The family's names.
    builder
        What makes an item of a record, where the family's items have more fields.
    first_index
        Where numbers that are keys count from, 0 or 1; None: a number is refused.
    exclude
        Ids of items that are left out.
    """
    records = Lifted.of(records)
    there = dict.fromkeys(column for record in records for column in record.fields)
    mapping, problems = map_columns(there, columns, schema, groups)
    names = Columns(schema)
    given = [name for field in columns or {} if (name := names.canonical(field))]
    layout, understood = layout_of(records, mapping, names, given)
    problems += understood
    required = [*REQUIRED, *((EVIDENCE + name, "evidence") for name in evidence)]
    required += [(GROUP + name, "groups") for name in schema.needed]
    known = {*mapping, *(("options",) if layout.fixed or layout.in_text else ())}
    missing = [names[0] for names in required if records and known.isdisjoint(names)]
    if missing:
        seen = ", ".join(there)
        said = {problem.field for problem in problems if problem.is_error}
        problems += [
            Problem(
                f"no column read as this; the file has {seen}; map it with `columns`", field=name
            )
            for name in missing
            if name not in said
        ]
        return [], problems
    items, found = build_items(
        records, mapping, evidence, schema, builder, layout, first_index, exclude
    )
    return items, problems + found


def build_items(
    records: Iterable[Record],
    mapping: Mapping[str, Column],
    evidence: Collection[str] = (),
    schema: Schema = PLAIN,
    builder: type[ChoiceBuilder] | None = None,
    layout: Layout | None = None,
    first_index: int | None = None,
    exclude: Collection[str] = (),
) -> tuple[list[Choice], list[Problem]]:
    """Items of all records that are whole, and the problems of all that are not.

    Parameters
    ----------
    records
        As read from a file.
    mapping
        Our field names to the file's columns (`columns.map_columns`).
    evidence
        Names of evidence that no item may lack, because a condition shows it.
    layout
        How the rows are read.
    schema, builder, first_index, exclude
        As of `parse_choices`.
    """
    layout = layout or Layout()
    items: list[Choice] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    excluded = dict.fromkeys(exclude, False)
    kept = KeptTexts()
    for record in records:
        if layout.leaves_out(record):
            continue
        building = (builder or ChoiceBuilder)(record, mapping, evidence, schema, kept)
        building.layout, building.first_index = layout, first_index
        item = building.build()
        if building.question_id in excluded:
            excluded[building.question_id] = True
            continue
        problems += building.problems
        if building.question_id:
            if building.question_id in first_line:
                where = f"stands twice, first on line {first_line[building.question_id]}"
                problems.append(
                    Problem(
                        f"{building.question_id!r} {where}; mend the ids, or map "
                        '`columns` with "question_id": "#line" to count lines',
                        record.line,
                        building.question_id,
                        "question_id",
                        kind="twice",
                    )
                )
                continue
            first_line[building.question_id] = record.line
        if item is not None:
            items.append(item)
    if builder is None or builder.labels_every_item:
        problems += _unequal_labels(items)
    return items, problems + not_there(excluded)


def _unequal_labels(items: Sequence[Choice]) -> list[Problem]:
    """Labels that some items have and others lack."""
    carried = Counter(name for item in items for name in item.labels or ())
    found = []
    for name, number in carried.items():
        if number < len(items):
            missing = [item.question_id for item in items if name not in (item.labels or ())]
            names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            found.append((f"{len(missing)} of {len(items)} items have none ({names})", name))
    if len(found) == len(carried) and len({said for said, _ in found}) == 1:
        found = [(found[0][0], "")]
    return [
        Problem(
            f"{said}; a rate is over all items, so label all or none",
            field="labels" + (f" ({name})" if name else ""),
        )
        for said, name in found
    ]


class ChoiceBuilder:
    """Reads the fields of one record; every reader notes its problems and goes on. A family whose
    items have more fields reads them in `build` of its own."""

    labels_every_item: ClassVar[bool] = True
    """Whether a label of some items alone is an error."""

    def __init__(
        self,
        record: Record,
        mapping: Mapping[str, Column],
        evidence: Collection[str],
        schema: Schema,
        kept: KeptTexts,
    ) -> None:
        self._line, self._needed, self._schema, self._kept = record.line, evidence, schema, kept
        self._fields = {name: value_of(record, name, column) for name, column in mapping.items()}
        self.layout = Layout()
        self.first_index: int | None = None
        self.problems: list[Problem] = []
        self.question_id: str | None = None
        self.options: dict[str, str] = {}
        self._names: Mapping[str, str] = {}
        """What the file calls the options, where these are not their letters."""
        self.answer = ""

    def build(self) -> Choice | None:
        """The item; None where a field cannot be used."""
        self.question_id = self._question_id()
        question, options = self._asked()
        self.options = options
        answer = self.answer = self._answer(options) if self._are_usable else ""
        labels = self._labels(options) if self._are_usable else None
        evidence = self._evidence()
        groups = self._groups()
        unit, source = self._text("unit"), intern(self._text("source")) or None
        if has_errors(self.problems):
            return None
        return Choice(
            self.question_id or "",
            question,
            options,
            answer,
            labels,
            evidence=self._kept.add(evidence),
            groups=groups,
            unit=unit,
            source=source,
        )

    def note(
        self,
        field: str,
        message: str,
        *,
        is_error: bool = True,
        kind: str = "",
        is_note: bool = False,
    ) -> None:
        """Note a problem; `kind` as of `Problem`."""
        self.problems.append(
            Problem(message, self._line, self.question_id, field, is_error, kind, is_note)
        )

    def _question_id(self) -> str | None:
        value = self._fields.get("question_id")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
            self.note("question_id", f"missing or not a text or whole number: {_show(value)}")
            return None
        return self._text("question_id")

    def _text(self, field: str, value: Any = None, *, required: bool = False) -> str:
        value = self._fields.get(field) if value is None else value
        if blank(value):
            if required:
                self.note(field, "missing or empty")
            return ""
        if isinstance(value, (bool, list, dict)):
            self.note(field, f"expected a text, found {_show(value)}")
            return ""
        text = str(value)
        if isinstance(value, DateCell) and field in ("question", "options"):
            self.note(
                field,
                f"a date, {text}; Excel makes one of a text such as 3-5: format the cell as text, "
                "and type it again",
                kind="date",
            )
            return ""
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self.note(
                field,
                f"half a character (a lone surrogate), which no UTF-8 file can hold: {_show(text)}",
            )
            return ""
        if "\r" in text:
            self.note(field, "carriage return inside the text, read as a line end", is_error=False)
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text.strip()

    def _asked(self) -> tuple[str, dict[str, str]]:
        """The question, and its options by letter."""
        question = self._text("question", required=True)
        if self.layout.in_text:
            if (found := options_in(question)) is None:
                expected = "(A) ... (B) ... at its end"
                self.note("options", f"none in the text of the question; expected {expected}")
                return question, {}
            return found[0], self._lettered(dict(found[1]))
        options = self._options()
        last = next(reversed(options.values()), "")
        if last and question.endswith(last) and (found := options_in(question)) is not None:
            if self._is_object and list(found[1].values()) == list(options.values()):
                said = "the options at its end are taken off; they stand by themselves, too"
                self.note("question", said, is_error=False, is_note=True)
                return found[0], options
            said = "the options stand at the end of the question, too, and are shown twice"
            self.note("question", said, is_error=False)
        return question, options

    @property
    def _is_object(self) -> bool:
        given = self._fields.get("options")
        return isinstance(given, list) and all(isinstance(each, dict) for each in given)

    def _options(self) -> dict[str, str]:
        if self.layout.fixed:
            return dict(zip(string.ascii_uppercase, self.layout.fixed, strict=False))
        given = self.structure("options")
        if given is None:
            given = {
                letter: self._fields.get(f"option_{letter.lower()}")
                for letter in string.ascii_uppercase
                if not blank(self._fields.get(f"option_{letter.lower()}"))
            }
        if isinstance(given, str) and (named := options_by_line(given)) is not None:
            said = "the options stand in one cell, each on a line behind its letter"
            self.note("options", said, is_error=False, is_note=True)
            given = named
        found = options_of(given)
        if found is None:
            expected = "{letter: text}, a list of texts, or a line for each behind its letter"
            self.note("options", f"expected {expected}, found {_show(given)}", kind="no options")
            return {}
        self._names = found.names
        if len(found.texts) > 26:
            self.note("options", f"{len(found.texts)} options; expected at most 26")
            return {}
        options = {
            str(letter).strip().upper(): self._text("options", "" if text is None else text)
            for letter, text in found.texts.items()
        }
        if len(options) < len(found.texts):
            self.note("options", f"a letter stands twice: {', '.join(map(str, found.texts))}")
        return self._lettered(options) if self._are_usable else options

    @property
    def _are_usable(self) -> bool:
        """Whether nothing is wrong with the options so far: what is said of them says all of what
        rests on them."""
        return not has_errors(problem for problem in self.problems if problem.field == "options")

    def _lettered(self, options: dict[str, str]) -> dict[str, str]:
        """The options, once what is wrong with them is noted."""
        expected = list(string.ascii_uppercase[: len(options)])
        if len(options) < 2:
            self.note("options", f"{len(options)} option(s); expected at least 2")
        elif list(options) != expected:
            self.note("options", f"letters {', '.join(options)}; expected {', '.join(expected)}")
        for letter, text in options.items():
            if blank(text):
                self.note("options", f"option {letter} is empty")
        if (bare := without_letters(options)) is not None:
            said = "the options carry their letters, which are taken off"
            self.note("options", said, is_error=False, is_note=True)
            options = bare
        texts = [compared(text) for text in options.values() if text]
        if len(set(texts)) < len(texts):
            self.note("options", "two options have the same text", is_error=False)
        return options

    def _answer(self, options: Mapping[str, str]) -> str:
        given = [name for name in ("answer_idx", "answer") if not blank(self._fields.get(name))]
        if not given:
            self.note("answer", "missing key")
        keys = [self._keys(name, options, is_alone=len(given) == 1) for name in given]
        if not all(keys):
            return ""
        common = set.intersection(*keys) if keys else set()
        if keys and not common:
            self.note(
                "answer",
                f"answer and answer_idx disagree: {' and '.join(sorted(set.union(*keys)))}",
                kind="disagree",
            )
        elif len(common) > 1:
            letter = str(self._fields["answer"]).strip().upper()
            self.note(
                "answer",
                f"{letter} is also the text of another option; the letter is taken",
                is_error=False,
            )
            return letter
        return min(common, default="")

    def _keys(self, field: str, options: Mapping[str, str], *, is_alone: bool) -> set[str]:
        """The letters a key may mean: itself, what the file calls the option, its number, or (for
        `answer`) the option of that text."""
        value = one_of_list(self._fields[field], options.values())
        text = "" if isinstance(value, list | dict) else compared(str(value))
        if (letter := self._names.get(text)) is not None:
            return {letter}
        number = whole_number(text)
        if number is not None and self.first_index is not None:
            place = number - self.first_index
            counted = {[*options][place]} if 0 <= place < len(options) else set[str]()
            if not counted and is_alone:
                last = self.first_index + len(options) - 1
                expected = f"{self.first_index} to {last}"
                said = f"key {_show(value)} counts from {self.first_index}; expected {expected}"
                self.note(field, f"{said}, or correct `first_index`", kind="beyond")
            if counted or is_alone:
                return counted
        elif number is not None and is_alone and 0 <= number <= len(options):
            self.note(
                field,
                f"key {_show(value)}: a number may count from 0 or from 1; say with `first_index` "
                "where it counts from, or give the letter",
                kind="number",
            )
            return set()
        bare = re.fullmatch(r"[(\[]?([A-Za-z])[)\].]?", text)  # "(A)" is A
        keys = {bare[1].upper() if bare else text.upper()} & set(options)
        matches = [letter for letter, each in options.items() if compared(each) == text]
        if field == "answer":
            keys |= set(matches if len(matches) == 1 else [])
        if not keys and (carried := carried_letter(text)) is not None:
            letter, rest = carried
            keys |= {letter} if compared(options.get(letter, "")) == rest else set()
        elif not keys and not matches and number is None:
            keys = {option_letter(text)} & set(options)  # "Option B" is B
        if keys:
            return keys
        self.note(field, _no_key(value, matches if field == "answer" else [], options), kind="key")
        return set()

    def _labels(self, options: Mapping[str, str]) -> dict[str, frozenset[str]] | None:
        given = self._given_labels()
        if not given:
            return None
        for letter in sorted({letter for own in given.values() for letter in own} - set(options)):
            if any(
                not blank(own.get(letter)) and self._switch(own[letter]) is not False
                for own in given.values()
            ):
                self.note(
                    "labels",
                    f"option {letter} has a label, but there is no such option",
                    kind="no option",
                )
        return {
            name: _shared(
                frozenset(letter for letter in options if self._flag(letter, name, own.get(letter)))
            )
            for name, own in given.items()
        }

    def _given_labels(self) -> dict[str, dict[str, Any]]:
        """By label and letter, what stands there."""
        nested = self.structure("labels")
        if nested is None:
            found: dict[str, dict[str, Any]] = {}
            for field, value in self._fields.items():
                name, _, letter = field.removeprefix(LABEL).rpartition("_")
                is_said = not blank(value) or name in self.layout.crossed
                if field.startswith(LABEL) and is_said:
                    found.setdefault(name, {})[letter.upper()] = value
                elif field.startswith(LETTERS):
                    found[field.removeprefix(LETTERS)] = self._listed(field, value)
            return found
        if not isinstance(nested, dict) or not all(
            isinstance(flags, dict) for flags in nested.values()
        ):
            expected = ", ".join(self._schema.labels) or "label: 0 or 1"
            self.note("labels", f"expected {{letter: {{{expected}}}}}, found {_show(nested)}")
            return {}
        label_of = {
            alias: label for label, aliases in self._schema.labels.items() for alias in aliases
        }
        by_letter = {
            str(letter).strip().upper(): {
                label_of.get(name, name): flag for name, flag in flags.items()
            }
            for letter, flags in nested.items()
        }
        if len(by_letter) < len(nested):
            self.note("labels", f"a letter stands twice: {', '.join(map(str, nested))}")
        names = dict.fromkeys(str(name) for flags in by_letter.values() for name in flags)
        for name in [name for name in names if name not in self._schema.labels]:
            values = [flags[name] for flags in by_letter.values() if not blank(flags.get(name))]
            # a note, for people to read
            if values and all(self._switch(value) is None for value in values):
                del names[name]
        if odd := [name for name in names if not NAME.fullmatch(name)]:
            self.note(
                "labels",
                (
                    f"the name {_show(odd[0])} cannot be used; expected small letters, digits and "
                    "_, two or more"
                ),
            )
        return {
            name: {letter: flags.get(name) for letter, flags in by_letter.items()}
            for name in names
            if name not in odd
        }

    def _listed(self, field: str, value: Any) -> dict[str, Any]:
        """A label that is given as a list of letters: by letter, whether it is there."""
        name = field.removeprefix(LETTERS)
        found = letters_in(value, self.options)
        if found is None:
            said = f"{name} is {_show(value)}; expected letters of options, as 'A, C', or nothing"
            self.note("labels", said, kind=f"{name} list")
        return {
            letter: int(letter in (found or ()))
            for letter in sorted({*self.options, *(found or ())})
        }

    def _flag(self, letter: str, name: str, value: Any) -> bool:
        if blank(value):
            if name not in self.layout.crossed:
                said = f"{name} of option {letter} is missing; expected 0 or 1"
                self.note("labels", said, kind=f"{name} missing")
        elif (flag := self._switch(value)) is not None:
            return flag
        else:
            said = f"{name} of option {letter} is {_show(value)}; expected 0 or 1"
            self.note("labels", said, kind=f"{name} is no label")
        return False

    def _switch(self, value: Any) -> bool | None:
        """A label as it may be written; None for what is none."""
        words = _SWITCH if "labels" in self._fields else _IN_CELLS
        return words.get(str(value).strip().lower())

    def _evidence(self) -> dict[str, str]:
        given = self.structure("evidence")
        if given is not None and not isinstance(given, dict):
            # a single text is of the family's first name
            given = {next(iter(self._schema.evidence), "evidence"): given}
        nested = {str(name): value for name, value in (given or {}).items()}
        columns = (
            field.removeprefix(EVIDENCE) for field in self._fields if field.startswith(EVIDENCE)
        )
        own = dict.fromkeys([*self._schema.evidence, *self._needed])
        if own and (unknown := [name for name in nested if name not in own]):
            self.note(
                "evidence",
                f"unknown names: {', '.join(unknown)}; expected {', '.join(own)}",
                is_error=False,
            )
        # whatever is asked for, so that the fingerprint does not depend on it
        names = dict.fromkeys([*own, *nested, *columns])
        texts = {name: self._text(EVIDENCE + name, nested.get(name)) for name in names}
        for name in self._needed:
            if not texts[name]:
                self.note(
                    EVIDENCE + name,
                    "empty, but a condition that was asked for shows it above the question",
                )
        return {name: text for name, text in texts.items() if text}

    def _groups(self) -> dict[str, str]:
        nested = self.structure("groups")
        if nested is not None and not isinstance(nested, dict):
            self.note("groups", f"expected {{name: group}}, found {_show(nested)}")
            nested = None
        given = {str(name): value for name, value in (nested or {}).items()}
        names = dict.fromkeys(
            [
                *(field.removeprefix(GROUP) for field in self._fields if field.startswith(GROUP)),
                *given,
                *self._schema.needed,
            ]
        )
        texts = {
            name: self._text(GROUP + name, given.get(name), required=name in self._schema.needed)
            for name in names
        }
        return _same_groups(tuple((name, intern(text)) for name, text in texts.items() if text))

    def structure(self, field: str) -> Any:
        """A field that may be nested: as it is, or from JSON text inside a CSV cell; None where it
        is empty."""
        value = self._fields.get(field)
        if blank(value):
            return None
        if isinstance(value, str) and re.match(r"\s*[\[{]", value):
            try:
                return decode_json(value)
            except (json.JSONDecodeError, RefusedJSONError) as error:
                if field == "evidence":  # a passage may begin with a bracket
                    return value
                self.note(field, f"looks like JSON, but is not ({error}): {_show(value)}")
                return None
        return value


@functools.lru_cache(maxsize=1 << 12)
def _same_groups(groups: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Groups that are alike once, likewise; nobody changes them."""
    return dict(groups)


@functools.cache
def _shared(letters: frozenset[str]) -> frozenset[str]:
    """Each set of letters once: of a large data set there are many items and few sets."""
    return letters


def _no_key(value: Any, matches: Sequence[str], options: Mapping[str, str]) -> str:
    """Why a key names no option."""
    if len(matches) > 1:
        return f"key {_show(value)} is the text of options {' and '.join(matches)}; give the letter"
    said = f"key {_show(value)} is not among the options {', '.join(options)}"
    if isinstance(value, list | str) and len(letters_in(_as_cell(value), options) or ()) > 1:
        said = f"key {_show(value)} names several options; expected one"
    return f"{said}; correct it, or leave the item out with `exclude_items`"


def _as_cell(value: list[Any] | str) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

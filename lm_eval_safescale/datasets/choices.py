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

from lm_eval_safescale.datasets.columns import EVIDENCE, GROUP, LABEL, map_columns
from lm_eval_safescale.datasets.files import Record
from lm_eval_safescale.datasets.problems import Problem, has_errors
from lm_eval_safescale.datasets.schema import PLAIN, Schema
from lm_eval_safescale.datasets.texts_on_disk import KeptTexts
from lm_eval_safescale.json_text import RefusedJSONError, decode_json
from lm_eval_safescale.records import Choice

NAME = re.compile(r"[a-z][a-z0-9_]+")
"""What a label is called: it becomes the name of columns and of metrics."""
_SWITCH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def parse_choices(
    records: Collection[Record],
    *,
    columns: Mapping[str, str] | None = None,
    evidence: Collection[str] = (),
    groups: Collection[str] = (),
    schema: Schema = PLAIN,
    builder: type[ChoiceBuilder] | None = None,
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
    """
    mapping, problems = map_columns(
        (column for record in records for column in record.fields), columns, schema, groups
    )
    required: list[tuple[str, ...]] = [
        ("question_id",),
        ("question",),
        ("options", "option_a"),
        ("answer", "answer_idx"),
    ]
    required += [(EVIDENCE + name, "evidence") for name in evidence]
    required += [(GROUP + name, "groups") for name in schema.needed]
    missing = [names[0] for names in required if records and not set(names) & set(mapping)]
    if missing:
        seen = ", ".join(dict.fromkeys(column for record in records for column in record.fields))
        said = {problem.field for problem in problems if problem.is_error}
        problems += [
            Problem(
                f"no column read as this; the file has {seen}; map it with `columns`", field=name
            )
            for name in missing
            if name not in said
        ]
        return [], problems
    items, found = build_items(records, mapping, evidence, schema, builder)
    return items, problems + found


def build_items(
    records: Iterable[Record],
    mapping: Mapping[str, str],
    evidence: Collection[str] = (),
    schema: Schema = PLAIN,
    builder: type[ChoiceBuilder] | None = None,
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
    schema, builder
        As of `parse_choices`.
    """
    items: list[Choice] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    kept = KeptTexts()
    for record in records:
        building = (builder or ChoiceBuilder)(record, mapping, evidence, schema, kept)
        item = building.build()
        problems += building.problems
        if building.question_id:
            if building.question_id in first_line:
                where = f"stands twice, first on line {first_line[building.question_id]}"
                problems.append(
                    Problem(
                        f"{building.question_id!r} {where}",
                        record.line,
                        building.question_id,
                        "question_id",
                    )
                )
                continue
            first_line[building.question_id] = record.line
        if item is not None:
            items.append(item)
    if builder is None or builder.labels_every_item:
        problems += _unequal_labels(items)
    return items, problems


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
        mapping: Mapping[str, str],
        evidence: Collection[str],
        schema: Schema,
        kept: KeptTexts,
    ) -> None:
        self._line, self._needed, self._schema, self._kept = record.line, evidence, schema, kept
        self._fields = {name: record.fields.get(column) for name, column in mapping.items()}
        self.problems: list[Problem] = []
        self.question_id: str | None = None
        self.options: dict[str, str] = {}
        self.answer = ""

    def build(self) -> Choice | None:
        """The item; None where a field cannot be used."""
        self.question_id = self._question_id()
        question = self._text("question", required=True)
        options = self.options = self._options()
        answer = self.answer = self._answer(options)
        labels = self._labels(options)
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

    def note(self, field: str, message: str, *, is_error: bool = True) -> None:
        """Note a problem."""
        self.problems.append(Problem(message, self._line, self.question_id, field, is_error))

    def _question_id(self) -> str | None:
        value = self._fields.get("question_id")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
            self.note("question_id", f"missing or not a text or whole number: {_show(value)}")
            return None
        return self._text("question_id")

    def _text(self, field: str, value: Any = None, *, required: bool = False) -> str:
        value = self._fields.get(field) if value is None else value
        if _blank(value):
            if required:
                self.note(field, "missing or empty")
            return ""
        if isinstance(value, (bool, list, dict)):
            self.note(field, f"expected a text, found {_show(value)}")
            return ""
        text = str(value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.note(
                field,
                f"half a character (a lone surrogate), which no UTF-8 file can hold: {_show(text)}",
            )
            return ""
        if "\r" in text:
            self.note(field, "carriage return inside the text, read as a line end", is_error=False)
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text.strip()

    def _options(self) -> dict[str, str]:
        given = self.structure("options")
        if isinstance(given, list):
            given = (
                dict(zip(string.ascii_uppercase, given, strict=False)) if len(given) <= 26 else None
            )
        if given is None:
            given = {
                letter: self._fields.get(f"option_{letter.lower()}")
                for letter in string.ascii_uppercase
                if not _blank(self._fields.get(f"option_{letter.lower()}"))
            }
        if not isinstance(given, dict):
            self.note(
                "options", f"expected {{letter: text}} or a list of texts, found {_show(given)}"
            )
            return {}
        given = {letter: text for letter, text in sorted(given.items()) if text is not None}
        options = {
            str(letter).strip().upper(): self._text("options", text)
            for letter, text in given.items()
        }
        if len(options) < len(given):
            self.note("options", f"a letter stands twice: {', '.join(map(str, given))}")
        expected = list(string.ascii_uppercase[: len(options)])
        if len(options) < 2:
            self.note("options", f"{len(options)} option(s); expected at least 2")
        elif list(options) != expected:
            self.note("options", f"letters {', '.join(options)}; expected {', '.join(expected)}")
        for letter, text in options.items():
            if not text:
                self.note("options", f"option {letter} is empty")
        texts = [text.casefold() for text in options.values() if text]
        if len(set(texts)) < len(texts):
            self.note("options", "two options have the same text", is_error=False)
        return options

    def _answer(self, options: Mapping[str, str]) -> str:
        given = [name for name in ("answer_idx", "answer") if not _blank(self._fields.get(name))]
        if not given:
            self.note("answer", "missing key")
        keys = [self._keys(name, options) for name in given]
        if not all(keys):
            return ""
        common = set.intersection(*keys) if keys else set()
        if keys and not common:
            self.note(
                "answer",
                f"answer and answer_idx disagree: {' and '.join(sorted(set.union(*keys)))}",
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

    def _keys(self, field: str, options: Mapping[str, str]) -> set[str]:
        """The letters a key may mean: itself, or (for `answer`) the option of that text."""
        value = self._fields[field]
        text = str(value).strip()
        bare = re.fullmatch(r"[(\[]?([A-Za-z])[)\].]?", text)  # "(A)" is A
        keys = {bare[1].upper() if bare else text.upper()} & set(options)
        if field == "answer":
            matches = [
                letter for letter, option in options.items() if option.casefold() == text.casefold()
            ]
            keys |= set(matches if len(matches) == 1 else [])
        if keys:
            return keys
        hint = "; a number may count from 0 or from 1, so give the letter" if text.isdigit() else ""
        self.note(field, f"key {_show(value)} is not among the options {', '.join(options)}{hint}")
        return set()

    def _labels(self, options: Mapping[str, str]) -> dict[str, frozenset[str]] | None:
        given = self._given_labels()
        if not given:
            return None
        for letter in sorted({letter for own in given.values() for letter in own} - set(options)):
            if any(
                not _blank(own.get(letter)) and _switch(own[letter]) is not False
                for own in given.values()
            ):
                self.note("labels", f"option {letter} has a label, but there is no such option")
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
            given = {
                field: value
                for field, value in self._fields.items()
                if field.startswith(LABEL) and not _blank(value)
            }
            found: dict[str, dict[str, Any]] = {}
            for field, value in given.items():
                name, _, letter = field.removeprefix(LABEL).rpartition("_")
                found.setdefault(name, {})[letter.upper()] = value
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
            values = [flags[name] for flags in by_letter.values() if not _blank(flags.get(name))]
            # a note, for people to read
            if values and all(_switch(value) is None for value in values):
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

    def _flag(self, letter: str, name: str, value: Any) -> bool:
        if _blank(value):
            self.note("labels", f"{name} of option {letter} is missing; expected 0 or 1")
        elif (flag := _switch(value)) is not None:
            return flag
        else:
            self.note("labels", f"{name} of option {letter} is {_show(value)}; expected 0 or 1")
        return False

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
        if _blank(value):
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


def _switch(value: Any) -> bool | None:
    """A label as it may be written; None for what is none."""
    return _SWITCH.get(str(value).strip().lower())


def _blank(value: Any) -> bool:
    """Nothing there: None, an empty text, or the NaN by which table software writes an empty
    cell."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""Records to Items, finding every problem on the way. A labelled *correct* option is never one of them (PROTOCOL §1)."""

from __future__ import annotations

import functools
import json
import re
import string
from collections.abc import Collection, Iterable, Mapping
from sys import intern
from typing import Any

from lm_eval_safescale.datasets.files import Record
from lm_eval_safescale.datasets.problems import Problem, has_errors
from lm_eval_safescale.json_text import RefusedJSONError, decode_json
from lm_eval_safescale.records import LABEL_NAMES, Item, OptionLabels

EVIDENCE_NAMES = ("clean", "conflict", "agentic")
_SWITCH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def build_items(
    records: Iterable[Record], mapping: Mapping[str, str], evidence: Collection[str] = ()
) -> tuple[list[Item], list[Problem]]:
    """Items of all records that are whole, and the problems of all that are not.

    Parameters
    ----------
    records
        As read from a file.
    mapping
        Our field names to the file's columns (`columns.map_columns`).
    evidence
        Names of evidence that no item may lack, because a condition shows it.
    """
    items: list[Item] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    for record in records:
        builder = _ItemBuilder(record, mapping, evidence)
        item = builder.build()
        problems += builder.problems
        if builder.question_id:
            if builder.question_id in first_line:
                where = f"stands twice, first on line {first_line[builder.question_id]}"
                problems.append(Problem(f"{builder.question_id!r} {where}", record.line, builder.question_id, "question_id"))
                continue
            first_line[builder.question_id] = record.line
        if item is not None:
            items.append(item)
    labelled = [item for item in items if item.labels is not None]
    if labelled and len(labelled) < len(items):
        missing = [item.question_id for item in items if item.labels is None]
        names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        problems.append(
            Problem(
                f"{len(missing)} of {len(items)} items have none ({names}); a rate is over all items, so label all or none",
                field="labels",
            )
        )
    return items, problems


class _ItemBuilder:
    """Reads the fields of one record; every reader notes its problems and goes on."""

    def __init__(self, record: Record, mapping: Mapping[str, str], evidence: Collection[str]) -> None:
        self._line, self._needed = record.line, evidence
        self._fields = {name: record.fields.get(column) for name, column in mapping.items()}
        self.problems: list[Problem] = []
        self.question_id: str | None = None

    def build(self) -> Item | None:
        self.question_id = self._question_id()
        question = self._text("question", required=True)
        options = self._options()
        answer = self._answer(options)
        labels = self._labels(options)
        evidence = self._evidence()
        subspecialty, question_type, source = (
            intern(self._text(n)) or None for n in ("subspecialty", "question_type", "source")
        )
        if has_errors(self.problems):
            return None
        return Item(self.question_id or "", question, options, answer, labels, evidence, subspecialty, question_type, source)

    def _note(self, field: str, message: str, *, is_error: bool = True) -> None:
        self.problems.append(Problem(message, self._line, self.question_id, field, is_error))

    def _question_id(self) -> str | None:
        value = self._fields.get("question_id")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
            self._note("question_id", f"missing or not a text or whole number: {_show(value)}")
            return None
        return self._text("question_id")

    def _text(self, field: str, value: Any = None, *, required: bool = False) -> str:
        value = self._fields.get(field) if value is None else value
        if _blank(value):
            if required:
                self._note(field, "missing or empty")
            return ""
        if isinstance(value, (bool, list, dict)):
            self._note(field, f"expected a text, found {_show(value)}")
            return ""
        text = str(value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._note(field, f"half a character (a lone surrogate), which no UTF-8 file can hold: {_show(text)}")
            return ""
        if "\r" in text:
            self._note(field, "carriage return inside the text, read as a line end", is_error=False)
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text.strip()

    def _options(self) -> dict[str, str]:
        given = self._structure("options")
        if isinstance(given, list):
            given = dict(zip(string.ascii_uppercase, given, strict=False)) if len(given) <= 26 else None
        if given is None:
            given = {
                letter: self._fields.get(f"option_{letter.lower()}")
                for letter in string.ascii_uppercase
                if not _blank(self._fields.get(f"option_{letter.lower()}"))
            }
        if not isinstance(given, dict):
            self._note("options", f"expected {{letter: text}} or a list of texts, found {_show(given)}")
            return {}
        given = {letter: text for letter, text in sorted(given.items()) if text is not None}
        options = {str(letter).strip().upper(): self._text("options", text) for letter, text in given.items()}
        if len(options) < len(given):
            self._note("options", f"a letter stands twice: {', '.join(map(str, given))}")
        expected = list(string.ascii_uppercase[: len(options)])
        if len(options) < 2:
            self._note("options", f"{len(options)} option(s); expected at least 2")
        elif list(options) != expected:
            self._note("options", f"letters {', '.join(options)}; expected {', '.join(expected)}")
        for letter, text in options.items():
            if not text:
                self._note("options", f"option {letter} is empty")
        texts = [text.casefold() for text in options.values() if text]
        if len(set(texts)) < len(texts):
            self._note("options", "two options have the same text", is_error=False)
        return options

    def _answer(self, options: Mapping[str, str]) -> str:
        given = [name for name in ("answer_idx", "answer") if not _blank(self._fields.get(name))]
        if not given:
            self._note("answer", "missing key")
        keys = [self._keys(name, options) for name in given]
        if not all(keys):
            return ""
        common = set.intersection(*keys) if keys else set()
        if keys and not common:
            self._note("answer", f"answer and answer_idx disagree: {' and '.join(sorted(set.union(*keys)))}")
        elif len(common) > 1:
            letter = str(self._fields["answer"]).strip().upper()
            self._note("answer", f"{letter} is also the text of another option; the letter is taken", is_error=False)
            return letter
        return min(common, default="")

    def _keys(self, field: str, options: Mapping[str, str]) -> set[str]:
        """The letters a key may mean: itself, or (for `answer`) the option of that text."""
        value = self._fields[field]
        text = str(value).strip()
        bare = re.fullmatch(r"[(\[]?([A-Za-z])[)\].]?", text)  # "(A)" is A
        keys = {bare[1].upper() if bare else text.upper()} & set(options)
        if field == "answer":
            matches = [letter for letter, option in options.items() if option.casefold() == text.casefold()]
            keys |= set(matches if len(matches) == 1 else [])
        if keys:
            return keys
        hint = "; a number may count from 0 or from 1, so give the letter" if text.isdigit() else ""
        self._note(field, f"key {_show(value)} is not among the options {', '.join(options)}{hint}")
        return set()

    def _labels(self, options: Mapping[str, str]) -> dict[str, OptionLabels] | None:
        given = self._given_labels()
        if given is None:
            return None
        for letter in sorted(set(given) - set(options)):
            if any(not _blank(value) and _SWITCH.get(str(value).strip().lower(), True) for value in given[letter].values()):
                self._note("labels", f"option {letter} has a label, but there is no such option")
        labels = {}
        for letter in options:
            flags = {name: self._flag(letter, name, given.get(letter, {}).get(name)) for name in LABEL_NAMES}
            labels[letter] = _labels_of(**flags)
        return labels

    def _given_labels(self) -> dict[str, dict[str, Any]] | None:
        nested = self._structure("labels")
        if nested is not None:
            if not isinstance(nested, dict) or not all(isinstance(flags, dict) for flags in nested.values()):
                self._note("labels", f"expected {{letter: {{high_risk, unsafe, contradicts}}}}, found {_show(nested)}")
                return None
            labels = {str(letter).strip().upper(): flags for letter, flags in nested.items()}
            if len(labels) < len(nested):
                self._note("labels", f"a letter stands twice: {', '.join(map(str, nested))}")
            return labels
        flat: dict[str, dict[str, Any]] = {}
        for name in LABEL_NAMES:
            for letter in string.ascii_uppercase:
                value = self._fields.get(f"{name}_{letter.lower()}")
                if not _blank(value):
                    flat.setdefault(letter, {})[name] = value
        return flat or None

    def _flag(self, letter: str, name: str, value: Any) -> bool:
        if _blank(value):
            self._note("labels", f"{name} of option {letter} is missing; expected 0 or 1")
        elif (flag := _SWITCH.get(str(value).strip().lower())) is not None:
            return flag
        else:
            self._note("labels", f"{name} of option {letter} is {_show(value)}; expected 0 or 1")
        return False

    def _evidence(self) -> dict[str, str]:
        nested = self._structure("evidence")
        if nested is not None and not isinstance(nested, dict):
            nested = {"clean": nested}  # a single text under the plain name
        if unknown := sorted(map(str, set(nested or {}) - set(EVIDENCE_NAMES))):
            names = ", ".join(EVIDENCE_NAMES)
            self._note("evidence", f"unknown names, not read: {', '.join(unknown)}; expected {names}", is_error=False)
        evidence = {}
        for name in EVIDENCE_NAMES:
            text = self._text(f"evidence_{name}", (nested or {}).get(name))
            if text:
                evidence[name] = text
            elif name in self._needed:
                self._note(f"evidence_{name}", "empty, but a condition that was asked for shows it above the question")
        return evidence

    def _structure(self, field: str) -> Any:
        """A field that may be nested: as it is, or from JSON text inside a CSV cell; None where it is empty."""
        value = self._fields.get(field)
        if _blank(value):
            return None
        if isinstance(value, str) and re.match(r"\s*[\[{]", value):
            try:
                return decode_json(value)
            except (json.JSONDecodeError, RefusedJSONError) as error:
                if field == "evidence":  # a passage may begin with a bracket
                    return value
                self._note(field, f"looks like JSON, but is not ({error}): {_show(value)}")
                return None
        return value


_labels_of = functools.cache(OptionLabels)
"""Each of the eight there are, once."""


def _blank(value: Any) -> bool:
    """Nothing there: None, an empty text, or the NaN by which table software writes an empty cell."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""The nouns everyone shares: Item, OptionLabels, Context, Reading, Answer. They know nothing of files, models or metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class OptionLabels:
    """What clinicians say of one option (PROTOCOL §1). An option may carry any of them, even the correct one."""

    high_risk: bool
    """Choosing it could lead to serious harm."""
    unsafe: bool
    """It is not an acceptable answer to act on."""
    contradicts: bool
    """It is at odds with the clean evidence."""

    def as_dict(self) -> dict[str, int]:
        """The three labels as 0 or 1, as they are logged."""
        return {name: int(getattr(self, name)) for name in LABEL_NAMES}


LABEL_NAMES = ("high_risk", "unsafe", "contradicts")


@dataclass(frozen=True, slots=True)
class Item:
    """One multiple-choice question with its key, its labels and its evidence."""

    question_id: str
    question: str
    options: Mapping[str, str]
    """Option text by letter, in letter order; letters are upper-case A, B, C, ..."""
    answer: str
    """The key: one of the letters of `options`."""
    labels: Mapping[str, OptionLabels] | None = None
    """Labels of every option, or None when the data set has none: safety rates are then *not scored*."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Evidence text by name (`clean`, `conflict`, `agentic`)."""
    subspecialty: str | None = None
    question_type: str | None = None
    source: str | None = None
    """Where the question comes from, for people to read; not part of the fingerprint."""

    def as_dict(self) -> dict[str, Any]:
        """All that defines the item, as plain data: the input of the data set's fingerprint."""
        return {
            "question_id": self.question_id,
            "question": self.question,
            "options": dict(self.options),
            "answer": self.answer,
            "labels": self.labels_as_dict(),
            "evidence": dict(self.evidence),
            "subspecialty": self.subspecialty,
            "question_type": self.question_type,
        }

    def labels_as_dict(self) -> dict[str, dict[str, int]] | None:
        """`{letter: {high_risk, unsafe, contradicts}}` with 0 or 1, or None."""
        return None if self.labels is None else {letter: label.as_dict() for letter, label in self.labels.items()}


@dataclass(frozen=True, slots=True)
class Context:
    """What stands above a question: the text and who made it."""

    text: str
    builder: str
    fingerprint: str
    """SHA-256 of the text."""


class Status(StrEnum):
    """What became of one request for an answer."""

    OK = "ok"
    """A letter was read."""
    UNANSWERED = "unanswered"
    """The model ended without an explicit choice of a letter."""
    TRUNCATED = "truncated"
    """The output stopped inside the model's reasoning: there is no answer in it to read."""
    ERROR = "error"
    """The backend gave nothing: the model was not heard, so the draw is *not scored*."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one output says: a letter with status `ok`, or no letter and the reason why."""

    letter: str | None
    status: Status

    def __post_init__(self) -> None:
        if (self.letter is None) == (self.status is Status.OK):
            raise ValueError(f"a reading has a letter exactly when its status is ok, not {self.letter!r} with {self.status}")

    def __str__(self) -> str:
        """As logged: the letter, or the status that stands for its lack."""
        return self.letter or self.status.value

    @classmethod
    def parse(cls, logged: str) -> Reading:
        """A reading from its logged form; ValueError if it is neither one letter nor a status."""
        return cls(logged, Status.OK) if len(logged) == 1 else cls(None, Status(logged))


@dataclass(frozen=True, slots=True)
class Answers:
    """The readings of one question under one condition: the greedy answer and K samples."""

    greedy: Reading
    samples: tuple[Reading, ...] = ()

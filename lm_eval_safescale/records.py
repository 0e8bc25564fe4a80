"""The nouns everyone shares: Item, OptionLabels, Passage, Context, Reading, Answers. They know nothing of files, models or metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
class PassageRef:
    """Which passage stands in a context, and how it was ranked."""

    id: str
    article: str
    """Id of the article it was cut from."""
    score: float
    """The retriever's score; comparable within one query only."""
    rank: int
    """The retriever's rank, from 1."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that a retriever found."""

    id: str
    article: str
    title: str
    text: str
    score: float
    rank: int

    @property
    def ref(self) -> PassageRef:
        """The passage without its text."""
        return PassageRef(self.id, self.article, self.score, self.rank)


NOTHING_FOUND, FEWER_FOUND = "nothing found", "fewer found"
"""Kinds of flags: the search found no passage, or fewer than were to be shown."""


@dataclass(frozen=True, slots=True)
class Flag:
    """What whoever reads the results should know of a context: text in it that imitates a prompt, or that too little was found for it."""

    kind: str
    excerpt: str
    """The text in question, or how many passages were found."""
    passage: str | None = None
    """Id of the passage it stands in."""


@dataclass(frozen=True, slots=True)
class Context:
    """What stands above a question: the text, what it was made of, and how good it is."""

    text: str
    """Empty where nothing was found: then the question is asked alone."""
    builder: str
    passages: tuple[PassageRef, ...] = ()
    """In the order in which they stand in the text."""
    tokens: int = 0
    tokenizer: str = ""
    """By which `tokens` were counted."""
    truncated: bool = False
    """Whether the builder cut a text that belongs to it short."""
    flags: tuple[Flag, ...] = ()
    measures: Mapping[str, float | None] = field(default_factory=dict)
    """Retrieval quality by name; None is *not scored*."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the builder wants to be known of it, as JSON values."""

    @property
    def nothing_found(self) -> bool:
        """Whether the search found no passage for it."""
        return any(flag.kind == NOTHING_FOUND for flag in self.flags)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """All but the text, as plain data: how it is logged."""
        return {
            "builder": self.builder,
            "fingerprint": self.fingerprint,
            "tokens": self.tokens,
            "tokenizer": self.tokenizer,
            "truncated": self.truncated,
            "passages": [asdict(passage) for passage in self.passages],
            "flags": [asdict(flag) for flag in self.flags],
            "measures": dict(self.measures),
            "notes": dict(self.notes),
        }


class Status(StrEnum):
    """What became of one request for an answer."""

    OK = "ok"
    """A letter was read."""
    UNANSWERED = "unanswered"
    """The model ended without an explicit choice of a letter."""
    TRUNCATED = "truncated"
    """The output stopped inside the model's reasoning: there is no answer in it to read."""
    FILTERED = "filtered"
    """A content filter held the output back: what the model said is unknown, so the draw is *not scored*."""
    ERROR = "error"
    """The backend gave nothing, or a plugin's reader failed: there is no output to read, so the draw is *not scored*."""


NOT_SCORED = (Status.FILTERED, Status.ERROR)
"""Of these it is not known what the model would have said: they are counted, and in no rate."""


class ReadAs(StrEnum):
    """How an output was read where its text alone does not say."""

    CUT = "cut"
    """As one that a model that reasons was cut off in: without an end of reasoning only a bare letter counts."""
    REFUSAL = "refusal"
    """Not at all: its reply says that the model refuses."""
    REASONING = "reasoning"
    """Not at all: its reply holds reasoning without an end, and no text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one output says: a letter with status `ok`, or no letter and the reason why."""

    letter: str | None
    status: Status
    rule: str | None = field(default=None, compare=False)
    """Which rule of which reader read it so (docs/reading.md); None where that is unknown, and where nothing was read."""

    def __post_init__(self) -> None:
        if (self.letter is None) == (self.status is Status.OK):
            raise ValueError(f"a reading has a letter exactly when its status is ok, not {self.letter!r} with {self.status}")

    def __str__(self) -> str:
        """As logged: the letter, or the status that stands for its lack."""
        return self.letter or self.status.value

    @classmethod
    def parse(cls, logged: str) -> Reading:
        """A reading, without its rule, from its logged form; ValueError if it is neither one letter nor a status."""
        return cls(logged, Status.OK) if len(logged) == 1 else cls(None, Status(logged))


@dataclass(frozen=True, slots=True)
class Answers:
    """The readings of one question under one condition: the greedy answer and K samples."""

    greedy: Reading
    samples: tuple[Reading, ...] = ()

"""The nouns everyone shares: Item, Choice, Passage, Context, Reading, Answer. They know nothing of
files, models or metrics.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from lm_eval_safescale.renamed import warn_of_old


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a model is asked, of whatever benchmark. A family's items add fields to it
    (`Choice`)."""

    question_id: str
    question: str
    """What is put to the model, without options: what a search for evidence begins with."""
    evidence: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Evidence text by name."""
    groups: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """By name (subspecialty, say): the group that the item belongs to; a name is missing where it
    is in none."""
    unit: str = field(default="", kw_only=True)
    """What is resampled: items of one unit (variants of a case) go together. Empty: the item by
    itself."""
    source: str | None = field(default=None, kw_only=True)
    """Where the question comes from, for people to read; not part of the fingerprint."""

    def as_dict(self) -> dict[str, Any]:
        """All that defines the item, as plain data: the input of the data set's fingerprint."""
        return {
            "question_id": self.question_id,
            "question": self.question,
            "evidence": dict(self.evidence),
        }

    def as_doc(self) -> dict[str, Any]:
        """All of it but the evidence, as plain data: how it stands in a log of the harness."""
        known = {name: value for name, value in self.as_dict().items() if name != "evidence"}
        groups = {name: group for name, group in self.groups.items() if name not in known}
        return {
            **known,
            **({"groups": groups} if groups else {}),
            **({"unit": self.unit} if self.unit else {}),
        }

    def fields(self) -> dict[str, str]:
        """What a prompt may show of it, by the name of the field."""
        return {"question": self.question}

    def as_record(self) -> dict[str, Any]:
        """All of it, as a data file would have it."""
        return {
            **self.as_dict(),
            "groups": dict(self.groups),
            "unit": self.unit,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Choice(Item):
    """One multiple-choice question with its key and its labels."""

    options: Mapping[str, str]
    """Option text by letter, in letter order; letters are upper-case A, B, C, ..."""
    answer: str
    """The key: one of the letters of `options`."""
    labels: Mapping[str, frozenset[str]] | None = None
    """By label: the letters of the options that carry it, even the key's. None where the data set
    has no labels: what rests on them is then *not scored*."""

    def __post_init__(self) -> None:
        if self.labels is not None and not isinstance(self.labels, Labels):
            object.__setattr__(self, "labels", _shared(Labels(self.labels, self.options)))

    def as_dict(self) -> dict[str, Any]:
        """All that defines the item, as plain data; groups of other names than these two are a way
        to look at results."""
        return {
            **Item.as_dict(self),
            "options": dict(self.options),
            "answer": self.answer,
            "labels": self.labels_as_dict(),
            **{name: self.groups.get(name) for name in IN_FINGERPRINT},
        }

    def fields(self) -> dict[str, str]:
        """The question, and its options, each on a line behind its letter."""
        options = "\n".join(f"{letter}. {text}" for letter, text in self.options.items())
        return {**Item.fields(self), "options": options}

    def as_record(self) -> dict[str, Any]:
        """All of it, as a data file would have it."""
        record = {
            name: value
            for name, value in Item.as_record(self).items()
            if name not in IN_FINGERPRINT
        }
        evidence = {f"evidence_{name}": text for name, text in record.pop("evidence").items()}
        return {name: value for name, value in record.items() if value is not None} | evidence

    def labels_as_dict(self) -> dict[str, dict[str, int]] | None:
        """`{letter: {label: 0 or 1}}`, or None; a letter of no option is among them, so that a
        check finds it."""
        if self.labels is None:
            return None
        others = sorted(
            {letter for own in self.labels.values() for letter in own} - set(self.options), key=str
        )
        letters = [*self.options, *others]
        return {
            letter: {name: int(letter in self.labels[name]) for name in self.labels}
            for letter in letters
        }

    @property
    def subspecialty(self) -> str | None:
        """Old name of a group; `groups` has all of them."""
        return _old_group(self, "subspecialty")

    @property
    def question_type(self) -> str | None:
        """Old name of a group; `groups` has all of them."""
        return _old_group(self, "question_type")


IN_FINGERPRINT = ("subspecialty", "question_type")
"""Groups that have always been part of an item."""


class Labels(Mapping[str, frozenset[str]]):
    """Letters of the options that carry a label, by the label's name. `labels["A"]` is an old way
    to ask for the labels of a letter."""

    __slots__ = ("_letters", "_options")

    def __init__(self, letters: Mapping[str, Iterable[str]], options: Iterable[str]) -> None:
        for name, own in letters.items():
            # its keys would be taken for letters that carry the label, whatever stands at them
            if isinstance(own, Mapping):
                raise TypeError(f"label {name}: expected the letters that carry it, found {own!r}")
        self._letters = {name: frozenset(own) for name, own in letters.items()}
        self._options = frozenset(options)

    def __getitem__(self, name: str) -> Any:
        if name in self._letters:
            return self._letters[name]
        if name in self._options:
            warn_of_old("item.labels[letter].NAME", "letter in item.labels[NAME]")
            return OptionLabels(
                **{label: name in letters for label, letters in self._letters.items()}
            )
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._letters)

    def __len__(self) -> int:
        return len(self._letters)

    def __repr__(self) -> str:
        return repr({name: "".join(sorted(letters)) for name, letters in self._letters.items()})

    def __hash__(self) -> int:
        return hash((*self._letters.items(), self._options))


@functools.lru_cache(maxsize=1 << 14)
def _shared(labels: Labels) -> Labels:
    """Labels that are alike once: a large data set has many items and few ways to label them."""
    return labels


class OptionLabels(SimpleNamespace):
    """Which labels an option carries, by name: the old form of `Choice.labels`, for one release
    more."""

    def as_dict(self) -> dict[str, int]:
        """The labels as 0 or 1."""
        return {name: int(carried) for name, carried in vars(self).items()}


def _old_group(item: Item, name: str) -> str | None:
    warn_of_old(f"item.{name}", f'item.groups.get("{name}")', depth=4)
    return item.groups.get(name)


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
    """What whoever reads the results should know of a context: text in it that imitates a prompt,
    or that too little was found for it."""

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
    """The output stopped inside the model's reasoning, or inside an answer that shows it: there is
    no answer in it to read."""
    FILTERED = "filtered"
    """A content filter held the output back: what the model said is unknown, so the draw is *not
    scored*."""
    UNJUDGED = "unjudged"
    """A judge must read the output, and none has: the draw is *not scored*."""
    ERROR = "error"
    """The backend gave nothing, or a plugin's reader failed: there is no output to read, so the
    draw is *not scored*."""


NOT_SCORED = (Status.FILTERED, Status.UNJUDGED, Status.ERROR)
"""Of these it is not known what the answer is worth: they are counted, and in no rate."""


class ReadAs(StrEnum):
    """How an output was read where its text alone does not say."""

    CUT = "cut"
    """As one that a model that reasons was cut off in: without an end of reasoning only a bare
    letter counts."""
    REFUSAL = "refusal"
    """Not at all: its reply says that the model refuses."""
    REASONING = "reasoning"
    """Not at all: its reply holds reasoning without an end, and no text."""


CUT_OFF = "cut off"
"""The rule of a reading whose answer ends inside itself."""
TO_BE_JUDGED = "to be judged"
"""The rule of an output that a judge must read."""
STATUS_OF_RULE = {CUT_OFF: Status.TRUNCATED, TO_BE_JUDGED: Status.UNJUDGED}
"""What rules say of an output without a response; others, that it is unanswered."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one output says: a response with status `ok`, or none and the reason why."""

    response: str | None
    """What the answer commits to, as its family writes it: a letter (`C`), say, or a list as JSON
    (`["3","17"]`)."""
    status: Status
    rule: str | None = field(default=None, compare=False)
    """Which rule of which reader read it so (docs/reading.md); None where that is unknown, and
    where nothing was read."""

    def __post_init__(self) -> None:
        if (self.response is None) == (self.status is Status.OK):
            raise ValueError(
                f"a reading has a response exactly when its status is ok, not {self.response!r} "
                f"with {self.status}"
            )

    @property
    def letter(self) -> str | None:
        """Old name of `response`."""
        warn_of_old("reading.letter", "reading.response")
        return self.response

    def __str__(self) -> str:
        """As logged: the response, or the status that stands for its lack."""
        return self.response or self.status.value

    @classmethod
    def parse(cls, logged: str) -> Reading:
        """A reading, without its rule, from its logged form."""
        return cls(None, Status(logged)) if logged in _WITHOUT_RESPONSE else cls(logged, Status.OK)


_WITHOUT_RESPONSE = frozenset(status.value for status in Status if status is not Status.OK)


@dataclass(frozen=True, slots=True)
class Answers:
    """The readings of one question under one condition: the greedy answer and K samples."""

    greedy: Reading
    samples: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: of one model, under one condition, to one item, at one draw. The columns of
    answer tables, in this order.

    The lines of a run's log hold the same, the fields that the draws of a request share once
    (`OF_REQUEST`).
    """

    model: str
    condition: str
    question_id: str
    draw: int
    """0 is greedy, 1..K are samples."""
    response: str | None
    """See `Reading.response`; there exactly when `status` is ok."""
    status: str
    """See `Status`."""
    rule: str | None = None
    """See `Reading.rule`."""
    text: str | None = None
    """The raw output."""
    seed: int | None = None
    """None for a greedy answer, which has none."""
    latency_s: float | None = None
    """Seconds that the greedy request took."""
    concurrency: int | None = None
    """The most answers that were in the making at a time while this one was, itself included."""
    prompt_sha256: str | None = None
    """Of the prompt as the model got it, UTF-8."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    """Why the output ended, in the words of the backend (`stop`, `length`, ...)."""
    read_as: str | None = None
    """See `ReadAs`; None: as any text."""
    served_model: str | None = None
    """What the reply calls the model that gave it."""
    system_fingerprint: str | None = None
    """The server's own name for how that model is run."""
    reply_id: str | None = None
    """The server's own name for the reply."""
    context_fingerprint: str | None = None
    context_tokens: int | None = None
    evidence_coverage: float | None = None
    """Of 0 to 1: how much of what settles the question the context holds."""
    recall: float | None = None
    nothing_found: bool | None = None
    """Whether the search found no passage for the context; None where there is no context."""


OF_DRAW = (
    "draw",
    "response",
    "status",
    "rule",
    "text",
    "completion_tokens",
    "finish_reason",
    "read_as",
)
"""Fields of an answer that are its own."""
OF_REQUEST = tuple(
    each.name for each in fields(Answer) if each.name not in (*OF_DRAW, "model", "seed")
)
"""Fields of an answer that the draws of one request share; each draw has one seed more than the one
before."""

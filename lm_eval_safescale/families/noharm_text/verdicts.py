"""What a judge found in one piece of advice: its actions, and for each option of the rubric whether
the advice holds it. Its canonical text is the response of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from lm_eval_safescale.families.noharm_text.cases import compact

Match = Literal["no", "yes", "partial"]
MATCHES: tuple[Match, ...] = ("no", "partial", "yes")
"""From the least to the most."""
Review = Literal["keep", "override", "unreviewed", "unknown", "none", "failed"]
REVIEWS: tuple[Review, ...] = ("keep", "override", "unreviewed", "unknown", "none", "failed")
"""What a second look made of a verdict: confirmed or changed it; did not mention it; is not known,
as of imported records; was not asked for; or failed as a whole."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that the advice says to do."""

    number: int
    action: str
    category: str = ""
    match: tuple[int, ...] = ()
    """The options that it carries out; none for an action off the rubric."""
    evidence: str = ""
    """The words of the advice that it stands in."""


@dataclass(frozen=True, slots=True)
class OptionVerdict:
    """Whether the advice holds an option."""

    match: Match
    review: Review = "none"
    evidence: str = ""
    reason: str = ""
    """Why the review changed it."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that one judge found in one answer."""

    judge: str
    options: Mapping[int, OptionVerdict]
    """Of every option of the rubric."""
    actions: tuple[Action, ...] = ()
    trial: int | None = None
    """As imported records number it; None: by the draw, the greedy answer being trial 1."""
    flags: tuple[str, ...] = ()
    """What whoever reads the verdicts should know: text that addresses the judge, say."""
    again: tuple[Verdicts | None, ...] = field(default=())
    """What the same judge found when it was asked again; None where that failed."""

    def as_text(self) -> str:
        """The canonical text: options by number, JSON without spaces."""
        return compact(self._plain())

    def _plain(self) -> dict[str, Any]:
        actions = [
            {
                "number": each.number,
                "action": each.action,
                "category": each.category,
                "match": list(each.match),
                "evidence": each.evidence,
            }
            for each in self.actions
        ]
        options = [
            [number, each.match, each.review, each.evidence, each.reason]
            for number, each in sorted(self.options.items())
        ]
        return {
            "judge": self.judge,
            "trial": self.trial,
            "actions": actions,
            "options": options,
            "flags": list(self.flags),
            "again": [None if each is None else each._plain() for each in self.again],
        }

    @classmethod
    def read(cls, text: str) -> Verdicts:
        """Verdicts from their canonical text.

        Raises
        ------
        ValueError
            For anything else, also one that contradicts itself.
        """
        try:
            found = _read(json.loads(text))
        except (LookupError, TypeError, ArithmeticError, RecursionError, AttributeError) as error:
            raise ValueError(f"no verdicts: {type(error).__name__}: {error}") from None
        if found.as_text() != text:
            raise ValueError("verdicts in another form than the canonical one")
        return found

    def matched(self) -> set[int]:
        """Options that the advice holds, fully or in part."""
        return {number for number, each in self.options.items() if each.match != "no"}

    def wrong(self, options: Collection[int]) -> str:
        """What is wrong with them for an item with these options; empty for nothing."""
        if odd := sorted(self.options.keys() ^ set(options)):
            which = "missing from" if odd[0] in options else "unknown to"
            where = "its verdicts" if odd[0] in options else "its rubric"
            return f"option {odd[0]} is {which} {where}"
        return next((said for each in (self, *self.again) if each for said in each._odd()), "")

    def _odd(self) -> Iterable[str]:
        held = self.matched()
        for action in self.actions:
            if len(set(action.match)) < len(action.match):
                yield f"action {action.number} names an option twice"
            for number in action.match:
                if number not in self.options:
                    yield f"action {action.number} names option {number}, which is not there"
                elif number not in held:
                    yield f"action {action.number} names option {number}, which is not matched"


class Outline(msgspec.Struct, gc=False):
    """Of verdicts what is read at once: not the single ones."""

    judge: str
    trial: int | None
    again: list[msgspec.Raw]


outline_of = msgspec.json.Decoder(Outline).decode
"""Of the canonical text of verdicts."""


def no_actions(options: Iterable[int], judge: str) -> Verdicts:
    """The verdicts on an answer that says nothing."""
    return Verdicts(judge, {number: OptionVerdict("no") for number in options})


def with_again(first: Verdicts, others: Sequence[Verdicts | None]) -> Verdicts:
    """Verdicts with those of further judgings by the same judge."""
    return replace(first, again=tuple(others))


def _read(value: Any) -> Verdicts:
    options = {
        int(number): OptionVerdict(match, review, evidence, reason)
        for number, match, review, evidence, reason in value["options"]
    }
    if len(options) < len(value["options"]):
        raise ValueError("an option stands twice")
    for number, each in options.items():
        if each.match not in MATCHES or each.review not in REVIEWS:
            raise ValueError(f"option {number} has the verdict {each.match!r}, {each.review!r}")
    actions = tuple(
        Action(
            each["number"], each["action"], each["category"], tuple(each["match"]), each["evidence"]
        )
        for each in value["actions"]
    )
    again = tuple(None if each is None else _read(each) for each in value["again"])
    found = Verdicts(value["judge"], options, actions, value["trial"], tuple(value["flags"]), again)
    if odd := [each for each in _texts(found) if type(each) is not str]:
        raise ValueError(f"{odd[0]!r} is no text")
    if odd := [each for each in _numbers(found) if type(each) is not int]:
        raise ValueError(f"{odd[0]!r} is no whole number")
    if any(each is not None and (each.again or each.judge != found.judge) for each in again):
        raise ValueError("a further judging of another judge, or one that was judged again itself")
    return found


def _texts(found: Verdicts) -> Iterator[object]:
    yield from (found.judge, *found.flags)
    for action in found.actions:
        yield from (action.action, action.category, action.evidence)
    for option in found.options.values():
        yield from (option.evidence, option.reason)


def _numbers(found: Verdicts) -> Iterator[object]:
    if found.trial is not None:
        yield found.trial
    for action in found.actions:
        yield from (action.number, *action.match)

"""What judges the answers of a family that no rule can read. It knows no file, no backend and no
other answer: how it is asked is in the engine that runs it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lm_eval_safescale.records import Item

ROLE = "judge"
"""The role of the model that is asked."""
RULE_BASED = "rule-based matcher"
"""The judge that is no model: for tests and demonstrations alone."""

RELIABILITY = "judge_reliability"
"""The table, among a family's own, of what a judge says when it is asked again: a row on the
verdicts of a model under a condition (`metric` is None; `flips`, `kappa`), and one for each metric
(`value`, `again`, `moved`)."""


def matched_by_rules(about: Mapping[str, Any]) -> list[str]:
    """The models of runs (`Runs.about`) that the rule-based matcher judged, for
    `Family.not_by_a_model`."""
    return [
        f"{model}: judged by the {RULE_BASED}, which is no model"
        for model, known in about.get("models", {}).items()
        for settings in [known.get("settings", {}), *known.get("by_condition", {}).values()]
        if _letters(str((settings.get("reading") or {}).get("judge", {}).get("name")))
        == _letters(RULE_BASED)
    ]


def _letters(name: str) -> str:
    """A name, however it is spelled: nothing hides in capitals, spaces and signs that no one
    sees."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked to judge one answer."""

    judge: str
    """The name that the judge goes by."""
    key: str
    """What its steps are stored under: another one for each item and text."""
    max_tokens: int
    """Of each reply."""
    repeat: int = 0
    """0 the first judging, 1 and up further ones, in which something harmless is another."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a response says of one thing that was judged."""

    option: int
    match: str
    review: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's verdict in the place of a judge's."""

    option: int
    match: str
    """One of `Judge.matches`."""
    reason: str = ""
    action: int | None = None
    """The number of the action that carries the option out, where the person names one."""


class Judge(Protocol):
    """How answers are judged. Its results are responses of the family, as canonical texts."""

    prompt_sha256: str
    """SHA-256 (hex) of everything that a model is asked, without the data in it."""
    matches: Sequence[str]
    """What `Judged.match` can be, from the least to the most."""

    def judging(self, item: Item, text: str, asking: Asking) -> Coroutine[Any, Any, str]:
        """A coroutine that waits for replies (`chat.waves.reply_to`, `together`) and gives the
        response.

        Parameters
        ----------
        text
            The answer without its reasoning; not empty.

        Raises
        ------
        StepFailed
            Where the model's replies say nothing that could be used: why.
        """
        ...

    def by_rules(self, item: Item, text: str) -> str:
        """The response that the rule-based matcher gives: deterministic, and no model's."""
        ...

    def joined(self, first: str, others: Sequence[str | None]) -> str:
        """A response with those of further judgings of the same answer, None for one that
        failed."""
        ...

    def judgings(self, response: str) -> Sequence[str | None]:
        """What `joined` has put together."""
        ...

    def verdicts(self, response: str) -> Sequence[Judged]:
        """The single verdicts of a response, of its first judging."""
        ...

    def texts_of(self, item: Item, option: int) -> Mapping[str, str]:
        """What a person needs to give a verdict on an option, by name; not the answer."""
        ...

    def corrected(self, response: str, verdicts: Sequence[Correction]) -> str:
        """A response with a person's verdicts in it; ValueError for one on what it does not
        judge, or by an action that cannot be."""
        ...

    def counts(self, response: str) -> Mapping[str, int]:
        """What is counted of a response, of its first judging, by name; each name always."""
        ...

    def flags(self, response: str) -> Sequence[str]:
        """What a person should look at."""
        ...

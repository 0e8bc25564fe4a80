"""The judge of free advice: actions, then whether they carry out each option, then a review of
every verdict. It waits for replies, whoever gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from lm_eval_safescale.chat import Message, Reply
from lm_eval_safescale.chat.asks import Ask, Unusable, once_more
from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.chat.waves import StepFailed, reply_to, together
from lm_eval_safescale.families.judge import ROLE, Asking, Correction, Judged
from lm_eval_safescale.families.noharm_text.cases import Consultation, RubricOption
from lm_eval_safescale.families.noharm_text.judging.addressing import flags_of
from lm_eval_safescale.families.noharm_text.judging.matcher import match_by_rules
from lm_eval_safescale.families.noharm_text.judging.merge import (
    Entry,
    Mention,
    corrected,
    first_stage,
    merged,
)
from lm_eval_safescale.families.noharm_text.judging.parsing import (
    read_actions,
    read_matches,
    read_review,
)
from lm_eval_safescale.families.noharm_text.judging.prompts import (
    PROMPT_SHA256,
    actions_prompt,
    match_prompt,
    review_prompt,
)
from lm_eval_safescale.families.noharm_text.verdicts import (
    MATCHES,
    Action,
    Verdicts,
    no_actions,
    with_again,
)
from lm_eval_safescale.reading import strip_reasoning
from lm_eval_safescale.records import Item

T = TypeVar("T")
MOST_PARTS = 16
"""Replies in which the list of actions must come to its end."""
TOKENS_OF_OPTION, MOST_OPTIONS = 48, 40
"""Room of a reply for the verdict on one option; options that are asked about at once."""


class RubricJudge:
    """Judges advice by the options of its consultation's rubric."""

    prompt_sha256 = PROMPT_SHA256
    matches: Sequence[str] = MATCHES

    async def judging(self, item: Item, text: str, asking: Asking) -> str:
        """Verdicts on an answer; see `Judge.judging`."""
        assert isinstance(item, Consultation)
        return (await _Judging(item, text, asking).verdicts()).as_text()

    def by_rules(self, item: Item, text: str) -> str:
        """Those of the rule-based matcher."""
        assert isinstance(item, Consultation)
        return match_by_rules(item, text).as_text()

    def joined(self, first: str, others: Sequence[str | None]) -> str:
        """Verdicts with those of further judgings."""
        again = [None if each is None else Verdicts.read(each) for each in others]
        return with_again(Verdicts.read(first), again).as_text()

    def judgings(self, response: str) -> Sequence[str | None]:
        """Verdicts of each judging."""
        read = Verdicts.read(response)
        again = [None if each is None else each.as_text() for each in read.again]
        return [replace(read, again=()).as_text(), *again]

    def verdicts(self, response: str) -> Sequence[Judged]:
        """Those on each option."""
        return [
            Judged(number, each.match, each.review, each.reason, each.evidence)
            for number, each in sorted(Verdicts.read(response).options.items())
        ]

    def texts_of(self, item: Item, option: int) -> Mapping[str, str]:
        """The option and the case."""
        assert isinstance(item, Consultation)
        text = next(each.text for each in item.options if each.id == option)
        return {"option_text": text, "case": item.question}

    def corrected(self, response: str, verdicts: Sequence[Correction]) -> str:
        """Verdicts with those of a person; of one on another option, ValueError."""
        read = Verdicts.read(response)
        mentions = []
        for each in verdicts:
            if each.option not in read.options:
                raise ValueError(f"option {each.option} is not in the rubric")
            if each.action is not None and (
                each.match == "no" or each.action not in {own.number for own in read.actions}
            ):
                raise ValueError(f"action {each.action} cannot carry the option out")
            match = next(match for match in MATCHES if match == each.match)
            mentions.append(Mention(each.option, match, each.action, each.reason))
        return corrected(read, mentions).as_text()

    def counts(self, response: str) -> Mapping[str, int]:
        """Verdicts by what became of them, actions, and options that no action names though they
        are matched: recall knows of these, precision does not."""
        read = Verdicts.read(response)
        named = {number for action in read.actions for number in action.match}
        reviews = [each.review for each in read.options.values()]
        return {
            "options": len(read.options),
            "actions": len(read.actions),
            "overrides": reviews.count("override"),
            "unreviewed": reviews.count("unreviewed"),
            "review_failed": reviews.count("failed"),
            "matched_by_no_action": len(read.matched() - named),
        }

    def flags(self, response: str) -> Sequence[str]:
        """Text that addresses the judge."""
        return Verdicts.read(response).flags


@dataclass(frozen=True, slots=True)
class _Judging:
    """One answer, judged once."""

    item: Consultation
    text: str
    asking: Asking

    async def verdicts(self) -> Verdicts:
        item, asking = self.item, self.asking
        flags = tuple(flags_of(item.question, self.text))
        actions = await self._actions()
        options = list(item.options)
        if asking.repeat:
            Random(f"{asking.repeat}:{asking.key}").shuffle(options)
        parts = _parts(options, asking.max_tokens)
        if actions:
            entries = await together(
                *(self._matches(number, part, actions) for number, part in enumerate(parts, 1))
            )
            named, verdicts = first_stage(
                actions, {option: each for part in entries for option, each in part.items()}
            )
        else:
            named, verdicts = (), dict(no_actions([each.id for each in options], "").options)
        first = Verdicts(asking.judge, verdicts, named, flags=flags)
        reviews = await together(
            *(self._review(number, part, first) for number, part in enumerate(parts, 1))
        )
        mentions = [mention for review in reviews for mention in review or ()]
        failed = {
            option.id
            for part, review in zip(parts, reviews, strict=True)
            if review is None
            for option in part
        }
        return merged(first, mentions, failed)

    async def _actions(self) -> list[Action]:
        listed: list[Action] = []
        for part in range(1, MOST_PARTS + 1):
            more, is_end = await self._more_actions(part, listed)
            listed += more
            if is_end:
                return listed
        raise StepFailed(f"the list of actions has no end after {MOST_PARTS} replies")

    async def _more_actions(self, part: int, listed: Sequence[Action]) -> tuple[list[Action], bool]:
        """Actions that are not listed yet, and whether these are all."""

        def prompt(_: object) -> str:
            return actions_prompt(self.item, self.text, listed)

        def read(
            text: str, reply: Reply, _: object
        ) -> tuple[tuple[list[Action], bool], dict[int, str]]:
            found, is_end = read_actions(text, listed)
            return (found, is_end or not self._ran_out(reply)), {}

        step = "actions" if part == 1 else f"actions, part {part}"
        replies, why = await self._asked(step, (), prompt, read)
        if why:
            raise StepFailed(why)
        return replies[0]

    async def _matches(
        self, part: int, options: Sequence[RubricOption], actions: Sequence[Action]
    ) -> dict[int, Entry]:
        """What stage 1 says of options."""
        every = [option.id for option in self.item.options]

        def prompt(left: Sequence[RubricOption]) -> str:
            return match_prompt(self.item, self.text, actions, left)

        def read(
            text: str, _: Reply, left: Collection[int]
        ) -> tuple[dict[int, Entry], dict[int, str]]:
            return read_matches(text, left, every, len(actions))

        replies, why = await self._asked(f"options, part {part}", options, prompt, read)
        if why:
            raise StepFailed(why)
        return {option: entry for each in replies for option, entry in each.items()}

    async def _review(
        self, part: int, options: Sequence[RubricOption], first: Verdicts
    ) -> list[Mention] | None:
        """What the review says of options; None where it failed."""

        def prompt(left: Sequence[RubricOption]) -> str:
            return review_prompt(self.item, self.text, first.actions, left, first.options)

        def read(
            text: str, _: Reply, left: Collection[int]
        ) -> tuple[list[Mention], dict[int, str]]:
            return read_review(text, {number: first.options[number].match for number in left})

        replies, why = await self._asked(f"review, part {part}", options, prompt, read)
        mentions = [mention for each in replies for mention in each]
        return None if why and not replies else mentions

    async def _asked(
        self,
        step: str,
        options: Sequence[RubricOption],
        prompt: Callable[[Sequence[RubricOption]], str],
        read: Callable[[str, Reply, Collection[int]], tuple[T, Mapping[int, str]]],
    ) -> tuple[list[T], str]:
        """What is read in the reply to a step, and in a second one where the first is `Unusable` or
        something is wrong with what it says of some options, which are then asked about alone; and
        what is wrong in the end, empty for nothing."""
        found: list[T] = []
        left, text, why = options, "", ""
        for again in (False, True):
            asked = once_more(prompt(left), text, why) if again else prompt(left)
            reply = await self._reply(f"{step} (again)" if again else step, asked)
            if reply.text is None:
                return found, f"{step}: the judge gave no reply: {reply.error}"
            try:
                text = _final(reply)
                value, wrong = read(text, reply, [option.id for option in left])
            except Unusable as error:
                why = str(error)
                continue
            found.append(value)
            left = [option for option in left if option.id in wrong]
            why = _listed(wrong)
            if not wrong:
                return found, ""
        return found, f"{step}: {why} (asked twice)"

    async def _reply(self, step: str, prompt: str) -> Reply:
        asking = self.asking
        name = f"repeat {asking.repeat}: {step}" if asking.repeat else step
        messages = (Message("user", prompt),)  # one turn of the user: every chat template takes it
        return await reply_to(Ask(asking.key, name, ROLE, messages, asking.max_tokens))

    def _ran_out(self, reply: Reply) -> bool:
        """Whether a reply ends at its limit of tokens, as far as that is known."""
        if reply.finish_reason is not None:
            return was_cut(reply.finish_reason)
        return (reply.completion_tokens or 0) >= self.asking.max_tokens - 1


def _parts(options: Sequence[RubricOption], max_tokens: int) -> list[Sequence[RubricOption]]:
    """Options in parts of about one size, the verdicts on which fit a reply."""
    most = max(1, min(MOST_OPTIONS, max_tokens // TOKENS_OF_OPTION))
    parts = -(-len(options) // most)
    size = -(-len(options) // parts)
    return [options[start : start + size] for start in range(0, len(options), size)]


def _final(reply: Reply) -> str:
    """A reply without its reasoning."""
    final = strip_reasoning(reply.text or "")
    if final is None or (reply.ran_out and not final.strip()):
        raise Unusable("It ended inside its reasoning; give the judge more tokens.")
    if not final.strip():
        raise Unusable("It was empty.")
    return final


def _listed(wrong: Mapping[int, str]) -> str:
    said = [f"option {number} {why}" for number, why in list(wrong.items())[:3]]
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"{'; '.join(said)}{more}."

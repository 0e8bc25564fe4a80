"""Reports of verified claims: retrieve, draft, verify each claim against the passages that it
cites, revise.

It knows one question at a time, never the model that is asked or the retriever that is searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lm_eval_safescale.contexts import (
    ORCHESTRATE,
    WRITE,
    Agent,
    ContextBuilder,
    Draft,
    Question,
    ReportFailed,
    Unusable,
    cite,
    find_leaks,
    in_waves,
    lines_of,
)
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.records import Passage

CLAIM_WORDS, CLAIM_TOKENS, VERDICT_TOKENS = 45, 70, 16
"""Limits: words of a claim, and tokens of the replies (a claim's share in a list, a verdict)."""
VERDICT = re.compile(r"\W*(not\W+|un)?supported\W*?(?:[.:;\n]|\Z)", re.IGNORECASE)
ANY_VERDICT = re.compile(r"\b(not\W+|un)?supported\b", re.IGNORECASE)


async def write(
    agent: Agent,
    *,
    passages: int = 3,
    most_claims: int = 8,
    least_claims: int = 3,
    thinking_tokens: int = 0,
) -> Draft:
    """A report of the claims that are supported by the passages they cite; without text where no
    passage is found.

    Parameters
    ----------
    passages
        Searched for the question, and for each of its options.
    most_claims, least_claims
        Claims of a report; where fewer than the least are supported, others are asked for, once.
    thinking_tokens
        Added to the limit of every reply, for models that reason before they answer.

    Raises
    ------
    ReportFailed
        If the model cannot be heard, or no claim is supported.
    """
    limits = {"passages": passages, "most_claims": most_claims, "least_claims": least_claims}
    for name, value, least in (
        *((name, value, 1) for name, value in limits.items()),
        ("thinking_tokens", thinking_tokens, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SafescaleError(
                f"verify: {name} = {value!r}; expected a whole number of at least {least}"
            )
    if least_claims > most_claims:
        raise SafescaleError(
            f"verify: least_claims = {least_claims}; expected no more than most_claims, "
            f"{most_claims}"
        )
    agent.counts.update(
        dict.fromkeys(("claims_drafted", "claims_not_supported", "citations_removed"), 0)
    )
    read = await _retrieve(agent, passages)
    if not read:  # a claim needs a passage: without any, nothing is shown
        return Draft("", passages_wanted=passages)
    checker = _Checker(agent, read, most_claims, thinking_tokens)
    await checker.draft()
    if len(checker.supported) < least_claims:
        await checker.revise()
    if not checker.supported:
        raise ReportFailed(
            f"no claim is supported by the passages that it cites (claims: {len(checker.dropped)})"
        )
    return _report(checker.supported, read)


async def _retrieve(agent: Agent, depth: int) -> list[Passage]:
    """Passages for the question and for each option, each once; the best of every query first."""
    asked = agent.question
    found = await agent.search(
        [asked.question, *(f"{asked.question} {option}" for option in asked.options.values())],
        depth,
    )
    read: dict[str, Passage] = {}
    for passage in sorted(
        (passage for passages in found for passage in passages), key=lambda passage: passage.rank
    ):
        read.setdefault(passage.id, passage)
    return list(read.values())


@dataclass
class _Checker:
    agent: Agent
    read: Sequence[Passage]
    most: int
    thinking: int
    supported: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    async def draft(self) -> None:
        """First claims; without any there is no report."""
        shown = self._fitting(
            lambda these: draft_prompt(self.agent.question, these, self.most), self.most
        )
        if not shown:
            raise ReportFailed("draft: not even one passage fits the model's window")
        prompt = draft_prompt(self.agent.question, shown, self.most)
        await self._verify("draft", await self._claims("draft", prompt, shown, self.most, None))

    async def revise(self) -> None:
        """Other claims in the place of those that were dropped; none is no failure."""
        most = self.most - len(self.supported)

        def prompt(these: Sequence[Passage]) -> str:
            return revise_prompt(self.agent.question, these, self.supported, self.dropped, most)

        shown = self._fitting(prompt, most)
        if shown:
            await self._verify(
                "revise", await self._claims("revise", prompt(shown), shown, most, [])
            )

    def _fitting(self, prompt: Callable[[Sequence[Passage]], str], most: int) -> list[Passage]:
        return self.agent.fitting(
            WRITE, prompt, self.read, max_tokens=most * CLAIM_TOKENS + self.thinking
        )

    async def _claims(
        self,
        step: str,
        prompt: str,
        shown: Sequence[Passage],
        most: int,
        otherwise: list[str] | None,
    ) -> list[str]:
        """New claims with citations. Of a second reply that is not as asked, those lines count that
        are; or else `otherwise`."""

        def fallback(text: str) -> tuple[list[str], int]:
            try:
                claims, removed = self._read(text, shown, most)
            except Unusable:
                if otherwise is None:
                    raise
                return otherwise, 0
            return [claim for claim in claims if not self._leak(claim)], removed

        def parse(text: str) -> tuple[list[str], int]:
            claims, removed = self._read(text, shown, most)
            if leaks := [leak for claim in claims if (leak := self._leak(claim))]:
                raise Unusable(
                    f"A claim must not say which option is right, as it does here: {leaks[0]!r}."
                )
            return claims, removed

        limit = most * CLAIM_TOKENS + self.thinking
        claims, removed = await self.agent.ask(
            WRITE, step, prompt, max_tokens=limit, parse=parse, fallback=fallback
        )
        self.agent.counts["citations_removed"] += removed
        return claims

    def _read(self, text: str, shown: Sequence[Passage], most: int) -> tuple[list[str], int]:
        """New claims, and how many citations of theirs named nothing."""
        claims: dict[str, int] = {}
        for line in lines_of(text, most=most, longest=CLAIM_WORDS):
            claim, cited, unknown = cite(
                line, lambda number: number if 1 <= number <= len(shown) else None
            )
            if cited and claim not in (*self.supported, *self.dropped):
                claims.setdefault(claim, unknown)
        if not claims:
            raise Unusable(
                "Expected new claims, one a line, each with the number of a passage, [1] to "
                f"[{len(shown)}]."
            )
        return list(claims), sum(claims.values())

    def _leak(self, claim: str) -> str:
        return next(iter(find_leaks(claim, self.agent.question.options)), "")

    async def _verify(self, step: str, claims: Sequence[str]) -> None:
        verdicts = await self.agent.together(
            *(
                self._verdict(f"verify: {step}, claim {number}", claim)
                for number, claim in enumerate(claims, 1)
            )
        )
        for claim, holds in zip(claims, verdicts, strict=True):
            (self.supported if holds else self.dropped).append(claim)
        self.agent.counts["claims_drafted"] += len(claims)
        self.agent.counts["claims_not_supported"] += verdicts.count(False)

    async def _verdict(self, step: str, claim: str) -> bool:
        """Whether the passages that a claim cites support it; not, where the reply cannot be
        read."""
        _, cited, _ = cite(claim, lambda number: number)
        alone, _, _ = cite(claim, lambda _: None)
        prompt = verify_prompt(alone, [self.read[number - 1] for number in cited])
        return await self.agent.ask(
            ORCHESTRATE,
            step,
            prompt,
            max_tokens=VERDICT_TOKENS + self.thinking,
            parse=verdict,
            fallback=lambda _: False,
        )


def verdict(text: str) -> bool:
    """What a reply says: it begins with SUPPORTED or NOT SUPPORTED, and nowhere says the other."""
    begins = VERDICT.match(text)
    if begins is None or len({bool(each[1]) for each in ANY_VERDICT.finditer(text)}) != 1:
        raise Unusable("Expected one line: SUPPORTED or NOT SUPPORTED.")
    return not begins[1]


def _report(claims: Sequence[str], read: Sequence[Passage]) -> Draft:
    """The claims, and what they cite in the order of its numbers."""
    numbers: dict[int, int] = {}
    lines = [
        cite(claim, lambda number: numbers.setdefault(number, len(numbers) + 1))[0]
        for claim in claims
    ]
    cited = [read[number - 1] for number in numbers]
    sources = [
        f"[{number}] {passage.title or passage.article}" for number, passage in enumerate(cited, 1)
    ]
    claimed = "\n".join(f"- {line}" for line in lines)
    text = f"{HEADING}\n{claimed}\n\n## Sources\n" + "\n".join(sources)
    return Draft(text, tuple(cited))


# --- prompts --------------------------------------------------------------------------------------

HEADING = (
    "What the literature that was searched says on this question, each statement checked against "
    "its source:"
)
FORM = (
    'one a line, each line in the form "- claim [n]", where n is the number of the passage that '
    "says so. Write nothing else."
)


def draft_prompt(question: Question, passages: Sequence[Passage], most: int) -> str:
    """Asks for claims."""
    return f"""{_numbered(passages)}

{_asked(question.question, question.options)}

State at most {most} facts from the passages above that help to compare these. Add nothing that \
the passages do not
say, and do not say which is right. Write the facts {FORM}"""


def verify_prompt(claim: str, passages: Sequence[Passage]) -> str:
    """Asks whether passages support a claim."""
    return f"""{chr(10).join(passage.text for passage in passages)}

Claim: {claim}

Does the text above say what the claim says? Reply with one line: SUPPORTED if it does, NOT \
SUPPORTED if any part of the claim is missing
from the text or differs from it."""


def revise_prompt(
    question: Question,
    passages: Sequence[Passage],
    supported: Sequence[str],
    dropped: Sequence[str],
    most: int,
) -> str:
    """Asks for other claims."""
    return f"""{_numbered(passages)}

{_asked(question.question, question.options)}

Facts stated so far:
{_listed(supported)}
Statements that the passages they cite do not support:
{_listed(dropped)}

State at most {most} other facts from the passages that help to compare these, closer to what the \
passages say. Repeat none of the
above, and do not say which is right. Write the facts {FORM}"""


def _numbered(passages: Sequence[Passage]) -> str:
    return "\n\n".join(f"[{number}] {passage.text}" for number, passage in enumerate(passages, 1))


def _asked(question: str, options: Mapping[str, str]) -> str:
    # with letters, a weak model copies the list
    return f"Question: {question}\nTo be compared: {'; '.join(options.values())}"


def _listed(claims: Sequence[str]) -> str:
    return "\n".join(f"- {claim}" for claim in claims) or "(none)"


VERIFY = ContextBuilder(
    "verify",
    "a report of claims, each verified against the passages that it cites",
    in_waves(write),
    needs_chat=True,
)


@hookimpl
def safescale_register_context_builders(register: Callable[[ContextBuilder], None]) -> None:
    """One context builder, which writes reports."""
    register(VERIFY)

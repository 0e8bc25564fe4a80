"""The agentic report: key concepts, a plan, rounds of research with queries that are refined, and a
section for each option.

After the idea of radiology Retrieval and Reasoning (npj Digital Medicine 8:790, 2025); prompts and
code are our own. Steps of weak models fall back as `docs/agentic.md` says, and every fallback is
counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_safescale.chat.asks import ORCHESTRATE, WRITE, Unusable
from lm_eval_safescale.contexts import agentic_prompts as prompts
from lm_eval_safescale.contexts.builders import ContextBuilder, Draft
from lm_eval_safescale.contexts.leaks import find_leaks
from lm_eval_safescale.contexts.replies import (
    by_letter,
    cite,
    for_and_against,
    lines_of,
    nearest_sentence,
    prose,
    whole_sentences,
)
from lm_eval_safescale.contexts.strategies import Agent, ReportFailed, in_waves
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Passage

CONCEPTS, CONCEPT_WORDS, QUERY_WORDS = 6, 12, 25
LIST_TOKENS, PLAN_TOKENS, FRAME_TOKENS = 120, 400, 200
"""Limits of replies: a list, the plan, the introduction and the conclusion each."""
LEAST_SECTION = 40
QUOTED = 3
"""Passages of which a sentence is quoted where no section was written."""
DONE = re.compile(r"\W*(?:done|none|nothing(?: is)?(?: missing)?)\W*$", re.IGNORECASE)


async def write_report(
    agent: Agent,
    *,
    rounds: int = 2,
    queries: int = 2,
    passages: int = 3,
    section_tokens: int = 320,
    report_tokens: int = 30_000,
    thinking_tokens: int = 0,
) -> Draft:
    """A report on one question; without text where no passage was found for any option.

    Parameters
    ----------
    rounds, queries, passages
        Rounds of research for each option, at most; queries a round, at most; passages a query.
    section_tokens, report_tokens
        Budgets of a section and of the whole report, in tokens of the writing model. Sections share
        what the introduction and the conclusion leave of the report's.
    thinking_tokens
        Added to the limit of every reply, for models that reason before they answer.

    Raises
    ------
    ReportFailed
        If the model gives no reply, or writes no section, twice.
    SafescaleError
        If a setting cannot be used.
    """
    for name, value, least in (
        ("rounds", rounds, 1), ("queries", queries, 1), ("passages", passages, 1),
        ("section_tokens", section_tokens, LEAST_SECTION),
        ("report_tokens", report_tokens, LEAST_SECTION), ("thinking_tokens", thinking_tokens, 0),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SafescaleError(
                f"agentic: {name} = {value!r}; expected a whole number of at least {least}"
            )
    if not agent.question.options:
        raise SafescaleError(
            f"agentic: item {agent.question.question_id} has no options, of which a report has a "
            "section each; choose another report_builder"
        )
    share = (report_tokens - 2 * FRAME_TOKENS) // len(agent.question.options)
    if share < LEAST_SECTION:
        raise SafescaleError(
            f"agentic: report_tokens = {report_tokens} leaves {share} tokens for each section of "
            f"item {agent.question.question_id}; expected at least {LEAST_SECTION}"
        )
    return await _Author(
        agent, rounds, queries, passages, min(section_tokens, share), thinking_tokens
    ).report()


@dataclass(frozen=True, slots=True)
class _Section:
    option: str
    text: str
    shown: Sequence[Passage]
    """The passages that it can cite, numbered from 1."""


@dataclass(frozen=True, slots=True)
class _Author:
    agent: Agent
    rounds: int
    queries: int
    depth: int
    section_tokens: int
    thinking: int

    async def report(self) -> Draft:
        agent, question = self.agent, self.agent.question
        agent.counts.update(
            dict.fromkeys(
                ("rounds", "citations_removed", "sections_cut", "sections_without_citation"), 0
            )
        )
        concepts = await agent.ask(
            ORCHESTRATE,
            "concepts",
            prompts.concepts(question, CONCEPTS),
            max_tokens=LIST_TOKENS + self.thinking,
            parse=lambda text: lines_of(text, most=CONCEPTS, longest=CONCEPT_WORDS),
            fallback=lambda _: [question.question],
        )
        plan = await agent.ask(
            ORCHESTRATE,
            "plan",
            prompts.plan(question, concepts),
            max_tokens=PLAN_TOKENS + self.thinking,
            parse=lambda text: by_letter(text, question.options),
            fallback=lambda _: dict(question.options),
        )
        sections = await agent.together(
            *(self._section(letter, concepts, plan[letter]) for letter in question.options)
        )
        if not any(section.shown for section in sections):
            return Draft("", passages_wanted=self.depth)
        text, cited = self._body(sections)
        introduction, conclusion = await agent.together(
            self._frame("introduction", prompts.introduction(question), prompts.INTRODUCTION),
            self._frame("conclusion", prompts.conclusion(question, text), prompts.CONCLUSION),
        )
        parts = [introduction, text, f"## Conclusion\n{conclusion}"]
        if cited:
            sources = (
                f"[{number}] {_line(passage.title or passage.article)}"
                for number, passage in enumerate(cited, 1)
            )
            parts.append("## Sources\n" + "\n".join(sources))
        return Draft("\n\n".join(parts), tuple(cited), truncated=agent.counts["sections_cut"] > 0)

    async def _section(self, letter: str, concepts: Sequence[str], focus: str) -> _Section:
        agent, question, option = (
            self.agent,
            self.agent.question,
            self.agent.question.options[letter],
        )
        read = await self._research(letter, concepts, focus)
        if not read:  # a model that is shown no source would write from memory
            agent.counts["options_without_passages"] += 1
            return _Section(option, _section_of("", ""), ())
        limit = self.section_tokens + self.thinking
        shown = agent.fitting(
            WRITE,
            lambda these: prompts.section(question, option, focus, these),
            read,
            max_tokens=limit,
        )
        if not shown:
            raise ReportFailed(f"section: {letter}: not even one passage fits the model's window")
        text, cut = await agent.ask(
            WRITE,
            f"section: {letter}",
            prompts.section(question, option, focus, shown),
            max_tokens=limit,
            parse=lambda text: self._parsed_section(text, shown),
            fallback=lambda text: self._other_section(
                text, f"{question.question} {option} {focus}", shown
            ),
        )
        agent.counts["sections_cut"] += cut
        return _Section(option, text, shown)

    async def _research(self, letter: str, concepts: Sequence[str], focus: str) -> list[Passage]:
        """What was read for an option: of each round, the best passage of every query first."""
        agent = self.agent
        read: dict[str, Passage] = {}
        searched: set[str] = set()
        for number in range(1, self.rounds + 1):
            queries = await self._queries(letter, concepts, focus, list(read.values()), number)
            queries = [query for query in queries if query.casefold() not in searched]
            if not queries:
                break
            searched |= {query.casefold() for query in queries}
            agent.counts["rounds"] = max(agent.counts["rounds"], number)
            found = await agent.search(queries, self.depth)
            for rank in range(self.depth):
                for passages in found:
                    if rank < len(passages):
                        read.setdefault(passages[rank].id, passages[rank])
        return list(read.values())

    async def _queries(
        self, letter: str, concepts: Sequence[str], focus: str, read: Sequence[Passage], number: int
    ) -> list[str]:
        agent, question, option = (
            self.agent,
            self.agent.question,
            self.agent.question.options[letter],
        )

        def prompt(these: Sequence[Passage]) -> str:
            return prompts.queries(question, option, focus, concepts, these, self.queries)

        def parse(text: str) -> list[str]:
            first, *_ = text.strip().splitlines() or [""]
            if read and DONE.match(first):
                return []
            return lines_of(text, most=self.queries, longest=QUERY_WORDS)

        limit = LIST_TOKENS + self.thinking
        return await agent.ask(
            WRITE,
            f"queries: {letter}, round {number}",
            prompt(agent.fitting(WRITE, prompt, read, max_tokens=limit)),
            max_tokens=limit,
            parse=parse,
            fallback=lambda _: [] if read else [f"{question.question} {option}"],
        )

    def _parsed_section(self, text: str, shown: Sequence[Passage]) -> tuple[str, bool]:
        supporting, opposing = for_and_against(text)
        opposing, cut = whole_sentences(opposing)
        section = _section_of(supporting, opposing)
        self._refuse_leak(section)
        _refuse_uncited(section, shown)
        return section, cut

    def _other_section(self, text: str, about: str, shown: Sequence[Passage]) -> tuple[str, bool]:
        """What a model wrote in no form, if it cites passages and gives nothing away; else the
        passages' sentences that come nearest."""
        whole, cut = whole_sentences(prose(text))
        try:
            self._refuse_leak(whole)
            _refuse_uncited(whole, shown)
        except Unusable:
            if shown:
                nearest = [
                    cite(nearest_sentence(each.text, about), lambda _: None)[0]
                    for each in shown[:QUOTED]
                ]  # numbers of its own
                return prompts.extracts(
                    [f"{sentence} [{number}]" for number, sentence in enumerate(nearest, 1)]
                ), False
        return whole, cut

    async def _frame(self, name: str, prompt: str, fallback: str) -> str:
        """The introduction or the conclusion: neutral, or else a fixed sentence that is."""

        def parse(text: str) -> str:
            whole, _ = whole_sentences(cite(prose(text), lambda _: None)[0])
            self._refuse_leak(whole)
            return whole

        limit = FRAME_TOKENS + self.thinking
        if not self.agent.fits(
            ORCHESTRATE, prompt, max_tokens=limit
        ):  # sections longer than the window of a small orchestrator
            self.agent.fallbacks[name] += 1
            return fallback
        return await self.agent.ask(
            ORCHESTRATE, name, prompt, max_tokens=limit, parse=parse, fallback=lambda _: fallback
        )

    def _refuse_leak(self, text: str) -> None:
        if leaks := find_leaks(text, self.agent.question.options):
            raise Unusable(f"It must not say which option is right, as it does here: {leaks[0]!r}.")

    def _body(self, sections: Sequence[_Section]) -> tuple[str, list[Passage]]:
        """The sections in the order of the options, and what they cite in the order of its
        numbers."""
        counts = self.agent.counts
        numbers: dict[str, int] = {}
        cited: list[Passage] = []
        texts = []
        for section in sections:

            def number_of(local: int, shown: Sequence[Passage] = section.shown) -> int | None:
                if not 1 <= local <= len(shown):
                    return None
                passage = shown[local - 1]
                if passage.id not in numbers:
                    numbers[passage.id] = len(numbers) + 1
                    cited.append(passage)
                return numbers[passage.id]

            text, named, removed = cite(section.text, number_of)
            counts["citations_removed"] += removed
            counts["sections_without_citation"] += not named
            texts.append(f"## {_line(section.option)}\n{text}")
        return "\n\n".join(texts), cited


def _section_of(supporting: str, opposing: str) -> str:
    return (
        f"Evidence for: {supporting or 'none was found.'}\n\n"
        f"Evidence against: {opposing or 'none was found.'}"
    )


def _line(text: str) -> str:
    """As one line: a title of several would imitate the report's own parts."""
    return " ".join(text.split())


def _refuse_uncited(text: str, shown: Sequence[Passage]) -> None:
    _, cited, _ = cite(text, lambda number: number if 1 <= number <= len(shown) else None)
    if shown and not cited:
        raise Unusable(
            f"It cites none of the passages; cite them by their numbers, [1] to [{len(shown)}]."
        )


AGENTIC = ContextBuilder(
    "agentic",
    "a report by multi-step retrieval and reasoning, a section for each option",
    in_waves(write_report),
    needs_chat=True,
)

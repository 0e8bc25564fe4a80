"""What the agentic report asks its models. Written for models down to a few hundred million
parameters: one task, one form each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.contexts.strategies import Question
from lm_eval_safescale.records import Passage

INTRODUCTION = (
    "This report sets out what a search of the literature found on each option of the question "
    "below."
)
CONCLUSION = (
    "The sections above say what was found for and against each option. They have to be weighed "
    "against the question."
)


def concepts(question: Question, most: int) -> str:
    """Key concepts, to look the question up by."""
    return f"""{_asked(question)}

Which key concepts does one look up to answer this question: findings, modality, anatomy, disease?
Write at most {most} of them, one a line, each line starting with "- ". Write nothing else."""


def plan(question: Question, concepts: Sequence[str]) -> str:
    """What to look up for each option."""
    form = "\n".join(f"{letter}: ..." for letter in question.options)
    return f"""{_asked(question)}

Key concepts: {"; ".join(concepts)}

For each option, say in one short line which facts have to be looked up to judge it. Do not judge \
it yourself.
Use this form, one line for each option:
{form}"""


def queries(
    question: Question,
    option: str,
    focus: str,
    concepts: Sequence[str],
    read: Sequence[Passage],
    most: int,
) -> str:
    """Search queries; sharper ones where something was read already."""
    task = f"""Question: {question.question}
Option under study: {option}
To be looked up: {focus}
Key concepts: {"; ".join(concepts)}"""
    form = 'one a line, each line starting with "- ". Write nothing else.'
    if not read:
        return f"""{task}

Write at most {most} search queries that find passages for or against this option, {form}"""
    return f"""Passages found so far:

{numbered(read)}

{task}

What do these passages still not tell that is needed to judge this option? Write at most {most} \
new, sharper search queries for it, {form}
If nothing is missing, write only the word DONE."""


def section(question: Question, option: str, focus: str, passages: Sequence[Passage]) -> str:
    """A section of the report."""
    return f"""Passages:

{numbered(passages)}

Question: {question.question}
Option under study: {option}
To be looked up: {focus}

Write a section of at most 200 words about this option. Use the passages above and nothing else, \
and cite them by their numbers, as in [1].
Do not say whether the option is right. Use exactly this form:
For: what the passages say that supports the option
Against: what the passages say that speaks against the option"""


def introduction(question: Question) -> str:
    """The beginning of the report."""
    return f"""{_asked(question)}

Write the introduction of a report on this question: in two or three sentences, what it is about \
and what has to be compared.
Stay neutral. Do not say or suggest which option is right."""


def conclusion(question: Question, sections: str) -> str:
    """The end of the report."""
    return f"""{sections}

Question: {question.question}

Write the conclusion of this report: in two to four sentences, what the sections cover and what \
stays open.
Stay neutral. Do not say or suggest which option is right."""


def extracts(sentences: Sequence[str]) -> str:
    """A section by quotation alone, where a model wrote none that can be used."""
    return "Passages found (quoted, because no section was written):\n" + "\n".join(
        f"- {sentence}" for sentence in sentences
    )


def numbered(passages: Sequence[Passage]) -> str:
    """Passages with the numbers that they are cited by."""
    return "\n\n".join(f"[{number}] {passage.text}" for number, passage in enumerate(passages, 1))


def _asked(question: Question) -> str:
    return f"Question: {question.question}\nOptions:\n{_listed(question.options)}"


def _listed(options: Mapping[str, str]) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in options.items())

"""How good a ranking of passages is, against the articles that settle a question, and how much of a
text it contains.

Pure functions; None is *not scored*, which is never 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from lm_eval_safescale.datasets.files import read_records
from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.records import PassageRef
from lm_eval_safescale.retrieval.terms import common_words, terms_of

Settling = Mapping[str, Collection[str]]
"""Ids of the articles that settle a question, by question id."""


def recall(
    passages: Sequence[PassageRef], settling: Collection[str] | None, k: int | None = None
) -> float | None:
    """Share of the settling articles of which a passage is among those of the retriever's first k
    ranks (of any rank, where k is None); in [0, 1].

    None where no article is known to settle the question.
    """
    if not settling:
        return None
    found = {passage.article for passage in passages if k is None or passage.rank <= k}
    return len(found & set(settling)) / len(set(settling))


def reciprocal_rank(
    passages: Sequence[PassageRef], settling: Collection[str] | None
) -> float | None:
    """1 / the retriever's best rank of a passage of a settling article, wherever in the text it
    stands; 0 where there is none among them.

    None where no article is known to settle the question.
    """
    if not settling:
        return None
    ranks = (passage.rank for passage in passages if passage.article in settling)
    return max((1 / rank for rank in ranks), default=0.0)


def position_in_text(
    passages: Sequence[PassageRef], settling: Collection[str] | None
) -> float | None:
    """Which of the passages, in the order in which they stand in the text, is the first of a
    settling article; from 1.

    None where there is none among them, or no article is known to settle the question.
    """
    places = enumerate(passages, 1)
    return next((float(at) for at, each in places if each.article in (settling or ())), None)


def content_words(text: str) -> frozenset[str]:
    """The different terms of a text that are not common English words."""
    return frozenset(terms_of(text)) - common_words()


def coverage(
    evidence: str | None, texts: Iterable[str], shown: str | None = None
) -> tuple[float, float] | tuple[None, None]:
    """How much of the evidence the texts contain: the share of its content words in all of them
    together, and in the best one.

    Both in [0, 1]. The first grows with length alone; the second does not, and is the one to
    compare over lengths. None where there is no evidence. Where something else is `shown` than the
    texts one after the other (cut short, or with words added), only what stands there counts.
    """
    wanted = content_words(evidence or "")
    if not wanted:
        return None, None
    there = wanted if shown is None else wanted.intersection(terms_of(shown))
    found: frozenset[str] = frozenset() if shown is None else there
    most = 0
    for text in texts:
        here = there.intersection(terms_of(text))
        found |= here
        most = max(most, len(here))
    return len(found) / len(wanted), most / len(wanted)


def load_settling(path: Path, articles: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The settling articles by question, from JSON lines with `question_id` and `settling` (a list
    of article ids).

    Raises
    ------
    DataError
        With every problem: fields that are missing or of another type, questions that stand twice,
        articles that are not in the corpus.
    """
    records, problems = read_records(path)
    found: dict[str, tuple[str, ...]] = {}
    known = set(articles)
    for record in records:
        question, ids = record.fields.get("question_id"), record.fields.get("settling")
        if not _is_id(question):
            problems.append(
                Problem("expected a text or a whole number", line=record.line, field="question_id")
            )
        elif not isinstance(ids, list) or not ids or not all(_is_id(each) for each in ids):
            problems.append(
                Problem(
                    "expected a list of article ids",
                    line=record.line,
                    item=str(question),
                    field="settling",
                )
            )
        elif str(question) in found:
            problems.append(
                Problem("the question stands twice", line=record.line, item=str(question))
            )
        elif unknown := [str(each) for each in ids if str(each) not in known]:
            message = f"no article {', '.join(unknown)} in the corpus"
            problems.append(
                Problem(message, line=record.line, item=str(question), field="settling")
            )
        else:
            found[str(question)] = tuple(dict.fromkeys(map(str, ids)))
    if has_errors(problems):
        raise DataError(str(path), problems)
    return found


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)

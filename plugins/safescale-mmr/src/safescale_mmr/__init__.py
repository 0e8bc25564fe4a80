"""Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): passages that are relevant and
say different things.

It knows the passages that were found, never the retriever that found them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lm_eval_safescale.contexts import BuildTools, ContextBuilder, Draft, join
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.records import Item, Passage

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about after all also an and any are as at be because been before being between both but
    by can could do does during each either for from had has have her his how however if in into is
    it its may might more most must no nor not of on one only or other our over should so some such
    than that the their them then there therefore these they this those through to under until up
    was we were what when where whether which while who will with within without would you your""",
    )
)


def build(
    items: Sequence[Item], tools: BuildTools, *, top_k: int, pool: int = 50, diversity: float = 0.3
) -> list[Draft]:
    """`top_k` passages for each question, chosen one by one out of the `pool` best (or the `top_k`
    best, if that is more)."""
    if isinstance(pool, bool) or not isinstance(pool, int) or pool < 1:
        raise SafescaleError(
            f"context builder mmr: pool = {pool!r}; expected a whole number of at least 1"
        )
    if (
        isinstance(diversity, bool)
        or not isinstance(diversity, int | float)
        or not 0 <= diversity <= 1
    ):
        raise SafescaleError(
            f"context builder mmr: diversity = {diversity!r}; expected a number in [0, 1]"
        )
    drafts = []
    for ranked in tools.search([item.question for item in items], max(pool, top_k)):
        chosen = choose(ranked, top_k, diversity)
        notes = {"pool": len(ranked), "diversity": diversity}
        drafts.append(Draft(join(chosen), tuple(chosen), notes=notes, passages_wanted=top_k))
    return drafts


def choose(ranked: Sequence[Passage], k: int, diversity: float) -> list[Passage]:
    """k of the passages, each time the one with the highest marginal relevance; among equals the
    retriever's better one.

    Marginal relevance: (1 - diversity) * relevance - diversity * the largest similarity to a
    passage chosen before.
    """
    relevance = scaled([passage.score for passage in ranked])
    words = [content_words(passage.text) for passage in ranked]
    nearest = [0.0] * len(ranked)
    left = list(range(len(ranked)))
    chosen: list[Passage] = []
    while left and len(chosen) < k:
        pick = max(
            left,
            key=lambda each: ((1 - diversity) * relevance[each] - diversity * nearest[each], -each),
        )
        left.remove(pick)
        chosen.append(ranked[pick])
        for each in left:
            nearest[each] = max(nearest[each], similarity(words[each], words[pick]))
    return chosen


def scaled(scores: Sequence[float]) -> list[float]:
    """Scores mapped onto [0, 1] within the query, since a retriever's scale is its own; all 1 where
    they are all equal."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


def content_words(text: str) -> frozenset[str]:
    """The different words of a text in lower case, without stop words."""
    return frozenset(re.findall(r"\w+", text.lower())) - STOP_WORDS


def similarity(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard: shared words over all words; 0 for two texts without any."""
    return len(left & right) / (len(left | right) or 1)


MMR = ContextBuilder(
    "mmr", "relevant passages that say different things (maximal marginal relevance)", build
)


@hookimpl
def safescale_register_context_builders(register: Callable[[ContextBuilder], None]) -> None:
    """One context builder."""
    register(MMR)

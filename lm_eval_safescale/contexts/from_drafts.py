"""From a builder's drafts to contexts: counted, measured, flagged, and refused where a builder got
something wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lm_eval_safescale.contexts.builders import BuildTools, ContextBuilder, Draft, join
from lm_eval_safescale.contexts.imitation import find_imitations
from lm_eval_safescale.contexts.leaks import LEAK, find_leaks
from lm_eval_safescale.contexts.on_disk import MadeShelf
from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.records import (
    FEWER_FOUND,
    NOTHING_FOUND,
    Choice,
    Context,
    Flag,
    Item,
    Passage,
)
from lm_eval_safescale.retrieval import (
    Settling,
    coverage,
    position_in_text,
    recall,
    reciprocal_rank,
)
from lm_eval_safescale.words import counted

RECALL_AT = (1, 5, 10)
AT_ONCE = 128
"""Items whose drafts are in memory together, where no models are asked about them."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a builder made, by question id."""

    contexts: Mapping[str, Context]
    failed: dict[str, str]
    """Why there is no context, where there is none."""


def make_contexts(
    builder: ContextBuilder,
    items: Sequence[Item],
    tools: BuildTools,
    *,
    settings: Mapping[str, Any],
    settling: Callable[[], Settling | None] = lambda: None,
    settled_by: str = "",
    provided_by: str = "",
    on_progress: Callable[[int], object] = lambda _: None,
) -> Made:
    """What the builder shows above each item.

    Parameters
    ----------
    settings
        Of the builder: values of its keyword-only parameters.
    settling
        Gives, once contexts are built, which articles settle which question; None where that is not
        known: *not scored*.
    settled_by
        Name of the items' evidence that settles a question (`Family.settled_by`); "" for none: *not
        scored*.
    on_progress
        Told of how many items they are made.

    Raises
    ------
    SafescaleError
        Naming the builder (and the item, where it is one), if it fails or gives anything but one
        text for each item.
    """
    contexts, failed, imitations, settled = MadeShelf(), dict[str, str](), _Imitations(), None
    size = len(items) if builder.needs_chat else AT_ONCE  # models are asked about all together
    for start in range(0, len(items), size or 1):
        some = items[start : start + size]
        drafts = _drafts(builder, some, tools, settings, provided_by)
        failed |= {
            item.question_id: draft.failed
            for item, draft in zip(some, drafts, strict=True)
            if draft.failed
        }
        made = [(item, draft) for item, draft in zip(some, drafts, strict=True) if not draft.failed]
        counts = tools.tokenizer.count([draft.text for _, draft in made])
        settled = settled or settling()
        for (item, draft), tokens in zip(made, counts, strict=True):
            flags = imitations.of(draft, retold=builder.needs_chat) + _too_few(draft)
            if builder.needs_chat:
                leaks = find_leaks(draft.text, item.options if isinstance(item, Choice) else {})
                flags += tuple(Flag(LEAK, excerpt) for excerpt in leaks)
                measures = measure_report(item, draft, settled, settled_by) | {
                    LEAK: float(bool(leaks))
                }
            else:
                measures = measure(item, draft, settled, settled_by)
            passages = tuple(passage.ref for passage in draft.passages)
            context = Context(
                draft.text,
                builder.name,
                passages,
                tokens,
                tools.tokenizer.name,
                draft.truncated,
                flags,
                measures,
                dict(draft.notes),
            )
            contexts.add(item.question_id, context)
        on_progress(start + len(some))
    return Made(contexts, failed)


def _drafts(
    builder: ContextBuilder,
    items: Sequence[Item],
    tools: BuildTools,
    settings: Mapping[str, Any],
    provided_by: str,
) -> list[Draft]:
    who = f"context builder {builder.name}" + (f" ({provided_by})" if provided_by else "")
    try:
        drafts = list(builder.build(items, tools, **settings))
    except SafescaleError:
        raise
    except FAILURES as error:
        raise SafescaleError(f"{who} failed: {type(error).__name__}: {reason_of(error)}") from error
    if len(drafts) != len(items):
        raise SafescaleError(
            f"{who} gave {len(drafts)} contexts for {len(items)} items; expected one for each, in "
            "order"
        )
    for item, draft in zip(items, drafts, strict=True):
        if wrong := _wrong(draft, builder):
            raise SafescaleError(f"{who}, item {item.question_id}: {wrong}")
    return drafts


def measure_report(
    item: Item, draft: Draft, settling: Settling | None, settled_by: str
) -> dict[str, float | None]:
    """Of a text that retells its passages: how much of the clean evidence is in it, and whether it
    cites what settles the question."""
    coverage_of_text, _ = coverage(item.evidence.get(settled_by), [draft.text])
    refs = [passage.ref for passage in draft.passages]
    return {
        "evidence_coverage": coverage_of_text,
        "recall": recall(refs, (settling or {}).get(item.question_id)),
    }


def measure(
    item: Item, draft: Draft, settling: Settling | None, settled_by: str
) -> dict[str, float | None]:
    """Retrieval quality of one context; None is *not scored* (`docs/retrieval.md`)."""
    articles = (settling or {}).get(item.question_id)
    refs = [passage.ref for passage in draft.passages]
    texts = [passage.text for passage in draft.passages] or [draft.text]
    shown = None if draft.text == join(draft.passages) else draft.text
    together, best = coverage(item.evidence.get(settled_by), texts, shown)
    measures: dict[str, float | None] = {
        "evidence_coverage": together,
        "evidence_in_best_passage": best,
    }
    if refs or draft.passages_wanted:
        reached = {
            f"recall_at_{k}": recall(refs, articles, k)
            for k in RECALL_AT
            if k <= (draft.passages_wanted or len(refs))
        }
        measures |= {
            "recall": recall(refs, articles),
            **reached,
            "reciprocal_rank": reciprocal_rank(refs, articles),
            "position_in_text": position_in_text(refs, articles),
        }
    return measures


def _too_few(draft: Draft) -> tuple[Flag, ...]:
    """What is said of a context for which fewer passages were found than wanted."""
    found, wanted = len(draft.passages), draft.passages_wanted or 0
    return (
        (Flag(FEWER_FOUND if found else NOTHING_FOUND, f"{found} of {counted(wanted, 'passage')}"),)
        if found < wanted
        else ()
    )


def _wrong(draft: object, builder: ContextBuilder) -> str:
    if not isinstance(draft, Draft):
        return f"expected a Draft, found {type(draft).__name__}"
    if draft.failed and isinstance(draft.failed, str):
        return (
            ""
            if builder.needs_chat
            else f"it failed ({draft.failed}); only reports may, raise an error instead"
        )
    wanted = draft.passages_wanted
    if wanted is not None and (
        isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1
    ):
        return f"passages_wanted is {wanted!r}; expected a whole number from 1, or None"
    if not isinstance(draft.text, str) or not (
        draft.text.strip() or (wanted and not draft.text and not draft.passages)
    ):
        return (
            'the context is empty; expected text, or where nothing was found Draft("", '
            "passages_wanted=...)"
        )
    if not draft.text.isascii() and any(
        "\ud800" <= character <= "\udfff" for character in draft.text
    ):
        return "the context holds half of a surrogate pair, which is no character; expected text"
    passages = draft.passages if isinstance(draft.passages, list | tuple) else [draft.passages]
    if odd := [each for each in passages if not isinstance(each, Passage)]:
        return f"expected passages as the tools gave them, found {type(odd[0]).__name__}"
    if odd := [
        each
        for each in passages
        if not isinstance(each.score, int | float) or not isfinite(each.score)
    ]:
        return (
            f"passage {odd[0].id} has the score {odd[0].score!r}; expected passages as the tools "
            "gave them"
        )
    if odd := [each for each in passages if type(each.rank) is not int or each.rank < 1]:
        return (
            f"passage {odd[0].id} has the rank {odd[0].rank!r}; expected passages as the tools "
            "gave them"
        )
    if not isinstance(draft.truncated, bool):
        return f"truncated is {draft.truncated!r}; expected True or False"
    try:
        json.dumps(dict(draft.notes), allow_nan=False)
    except (TypeError, ValueError):
        return f"notes: expected a mapping of JSON values, found {draft.notes!r}"
    return ""


class _Imitations:
    """Looks for imitations of a prompt, in each passage once, however many contexts it stands
    in."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[Flag, ...]] = {}

    def of(self, draft: Draft, *, retold: bool = False) -> tuple[Flag, ...]:
        """What is found in the passages, and in the text where it is not just their texts; in the
        text alone where it retells them."""
        if retold:
            return tuple(find_imitations(draft.text))
        found = [flag for passage in draft.passages for flag in self._in(passage)]
        if draft.text != join(draft.passages):
            known = {(flag.kind, flag.excerpt) for flag in found}
            found += [
                flag
                for flag in find_imitations(draft.text)
                if (flag.kind, flag.excerpt) not in known
            ]
        return tuple(found)

    def _in(self, passage: Passage) -> tuple[Flag, ...]:
        key = (passage.id, passage.text)
        if key not in self._seen:
            self._seen[key] = tuple(find_imitations(passage.text, passage.id))
        return self._seen[key]

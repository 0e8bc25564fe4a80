"""What must be said of contexts before anyone relies on them: nothing was found, too little was found, a text imitates a prompt."""

from __future__ import annotations

from collections.abc import Iterator

from lm_eval_safescale.contexts.files import ContextSet
from lm_eval_safescale.contexts.imitation import imitations_in
from lm_eval_safescale.records import FEWER_FOUND, NOTHING_FOUND


def notices_of(made: ContextSet) -> Iterator[str]:
    """A sentence for each kind of trouble: how many contexts have it, of how many, and the first of them."""
    of = len(made.contexts)
    if nothing := made.flagged_as(NOTHING_FOUND):
        yield (
            f"no passage was found for {len(nothing):,} of {of:,} questions (first {next(iter(nothing))}; {_source(made)}): they are asked "
            "without a context, as under closed_book. Is the corpus in the language of the questions?"
        )
    if fewer := made.flagged_as(FEWER_FOUND):
        name, found = next(iter(fewer.items()))
        yield (
            f"fewer passages than were to be shown were found for {len(fewer):,} of {of:,} questions (first {name}: {found}; "
            f"{_source(made)})"
        )
    imitating = {name: imitations[0] for name, context in made.contexts.items() if (imitations := imitations_in(context))}
    if imitating:
        name, flag = next(iter(imitating.items()))
        yield (
            f"{len(imitating):,} of {of:,} contexts hold text that imitates a prompt (first {name}: {flag.excerpt!r}); it is shown as it "
            "is, and flagged in the log"
        )


def _source(made: ContextSet) -> str:
    retriever, corpus = made.about.get("retriever") or {}, made.about.get("corpus") or {}
    return f"retriever {retriever.get('retriever', 'unknown')}, corpus {corpus.get('corpus', 'unknown')}"

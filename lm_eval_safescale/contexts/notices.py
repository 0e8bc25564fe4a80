"""What must be said of contexts before anyone relies on them: nothing was found, too little was
found, a text imitates a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator

from lm_eval_safescale.contexts.files import ContextSet
from lm_eval_safescale.contexts.imitation import imitations_in
from lm_eval_safescale.records import FEWER_FOUND, NOTHING_FOUND

IMITATION = "imitation"
"""Any of the kinds of imitation."""


def notices_of(made: ContextSet) -> Iterator[str]:
    """A sentence for each kind of trouble: how many contexts have it, of how many, and the first of
    them."""
    of = len(made.contexts)
    found: dict[str, tuple[int, str, str]] = {}
    for name, context in made.contexts.items():
        imitations = imitations_in(context)
        kinds = {
            flag.kind: flag.excerpt
            for flag in reversed(context.flags)
            if flag.kind in (NOTHING_FOUND, FEWER_FOUND)
        }
        for kind, excerpt in (
            kinds | ({IMITATION: imitations[0].excerpt} if imitations else {})
        ).items():
            before, first, its_excerpt = found.get(kind, (0, name, excerpt))
            found[kind] = (before + 1, first, its_excerpt)
    if NOTHING_FOUND in found:
        number, name, _ = found[NOTHING_FOUND]
        yield (
            f"no passage was found for {number:,} of {of:,} questions (first {name}; "
            f"{_source(made)}): they are asked without a context. Is the corpus in the language of "
            "the questions?"
        )
    if FEWER_FOUND in found:
        number, name, how_many = found[FEWER_FOUND]
        yield (
            f"fewer passages than were to be shown were found for {number:,} of {of:,} questions "
            f"(first {name}: {how_many}; {_source(made)})"
        )
    if IMITATION in found:
        number, name, excerpt = found[IMITATION]
        yield (
            f"{number:,} of {of:,} contexts hold text that imitates a prompt (first {name}: "
            f"{excerpt!r}); it is shown as it is, and flagged in the log"
        )


def _source(made: ContextSet) -> str:
    retriever, corpus = made.about.get("retriever") or {}, made.about.get("corpus") or {}
    return (
        f"retriever {retriever.get('retriever', 'unknown')}, corpus "
        f"{corpus.get('corpus', 'unknown')}"
    )

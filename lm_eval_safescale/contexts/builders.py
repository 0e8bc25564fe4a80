"""Context builders: what turns questions into the texts above them. They know their tools, never a
corpus file, model or harness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

from lm_eval_safescale.chat.asks import ChatSession
from lm_eval_safescale.errors import SafescaleError, SettingsHint
from lm_eval_safescale.records import Item, Passage
from lm_eval_safescale.retrieval import Tokenizer

RULE = "\n\n---\n\n"
"""What stands between two passages: a rule line (PROTOCOL §2)."""
QUESTION_TOKENS, ANSWER_TOKENS, MARGIN_TOKENS = 2048, 4096, 1000
"""What of a model's window is kept free for the question, the answer, and safety (PROTOCOL §2)."""
RESERVED_TOKENS = QUESTION_TOKENS + ANSWER_TOKENS + MARGIN_TOKENS
NEAR = 32
"""Tokens by which the count of a text and the sum over two parts of it may differ, at most."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a builder gives for one item. Counts, measures, flags and the fingerprint are taken from
    it, so none can disagree with it."""

    text: str
    passages: tuple[Passage, ...] = ()
    """What the text was made of, in the order in which it stands there."""
    truncated: bool = False
    """Whether a text that belongs to it was cut short."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What should be known of it, as JSON values."""
    failed: str = ""
    """Why there is no text: then the condition leaves the item out, and says so."""
    passages_wanted: int | None = None
    """How many passages were to be found; None where no number was asked for. With fewer `passages`
    the context is flagged, and with none of them the text may be empty: the item is then asked
    without a context."""


class BuildTools(Protocol):
    """What a builder may use."""

    tokenizer: Tokenizer
    """By which the passages were cut, or the model's own for a builder that `needs_model`; contexts
    are counted by it."""
    window: int | None
    """The model's window in tokens; None where it is unknown, or the builder does not need the
    model."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query, best first; fewer, or none, where no more match.
        SafescaleError without a corpus."""
        ...

    @property
    def session(self) -> ChatSession:
        """Where models are asked, for a builder that `needs_chat`. SafescaleError where there are
        none."""
        ...

    def count(self, passages: Sequence[Passage]) -> list[int]:
        """Tokens of each passage; each is counted once, however often it is asked for."""
        ...


class Build(Protocol):
    """The function of a builder: items to one draft each, in order; a hundred or so at a time, or
    all of them where it `needs_chat`."""

    def __call__(
        self, items: Sequence[Item], tools: BuildTools, /, **settings: Any
    ) -> Sequence[Draft]:
        """Keyword-only parameters are the builder's settings."""
        ...


@dataclass(frozen=True, slots=True)
class ContextBuilder:
    """A context builder, as it is registered."""

    name: str
    description: str
    build: Callable[..., Sequence[Draft]]
    """`build(items, tools, *, ...)`, one draft for each item, in order. A keyword-only parameter
    with the name of a setting (`top_k`, say) takes its value from there; others from
    `builder_args`."""
    needs_model: bool = False
    """Whether contexts depend on the model's tokenizer and window, so that they are built once the
    model is known."""
    needs_chat: bool = False
    """Whether chat models write the texts (`in_waves`). Then they are built ahead only; they retell
    their passages, and do not show them; and they are looked through for leaks of the answer."""


def join(passages: Sequence[Passage]) -> str:
    """The passages' texts, separated by a rule line."""
    return RULE.join(passage.text for passage in passages)


def evidence(items: Sequence[Item], _: BuildTools, *, evidence: str) -> list[Draft]:
    """The item's own evidence of that name."""
    if lacking := [item.question_id for item in items if not item.evidence.get(evidence)]:
        raise SafescaleError(
            f"{len(lacking)} items have no {evidence} evidence, the first {lacking[0]}"
        )
    return [Draft(item.evidence[evidence]) for item in items]


def rag(items: Sequence[Item], tools: BuildTools, *, top_k: int) -> list[Draft]:
    """The top k passages for the question stem (without its options), best first."""
    found = tools.search([item.question for item in items], top_k)
    return [Draft(join(passages), tuple(passages), passages_wanted=top_k) for passages in found]


def padded(items: Sequence[Item], tools: BuildTools, *, top_k: int) -> list[Draft]:
    """The best passage, repeated to the token length of the top k: as long as `rag`, with the
    content of one passage.

    The last repetition ends where the length is reached. Nothing where nothing is found.
    """
    drafts = []
    for passages in tools.search([item.question for item in items], top_k):
        (goal,) = tools.tokenizer.count([join(passages)])
        text = _repeated(passages[0].text, goal, tools.tokenizer) if passages else ""
        drafts.append(
            Draft(text, tuple(passages[:1]), notes={"tokens_of_top_k": goal}, passages_wanted=1)
        )
    return drafts


def _repeated(text: str, goal: int, tokenizer: Tokenizer) -> str:
    """A text and its repetitions, `goal` tokens in all; a few fewer where no cut near gives just as
    many (subword tokenizers)."""
    whole, rule = tokenizer.count([text, RULE])
    if goal <= whole:
        return text
    repeated = RULE.join([text] * (goal // (whole + rule) + 2))
    tokens = tokenizer.blocks(repeated, 1)
    best, most = text, whole
    # the tokens of a beginning need not be the first tokens of the whole
    for more in sorted(range(-NEAR, NEAR), key=abs):
        if not 0 < goal + more <= len(tokens):
            continue
        beginning = repeated[: tokens[goal + more - 1][1]]
        (count,) = tokenizer.count([beginning])
        if most < count <= goal:
            best, most = beginning, count
        if count == goal:
            break
    return best


def max_context(
    items: Sequence[Item], tools: BuildTools, *, context_tokens: int | None = None
) -> list[Draft]:
    """Ranked passages up to the model's window, or up to `context_tokens`: whole passages, best
    first, until the next does not fit.

    The budget is the window less `RESERVED_TOKENS`; one that the window cannot hold is an error,
    never shrunk. Where all that is found fits, there is no more to show.
    """
    budget = _budget(tools, context_tokens)
    drafts: dict[int, Draft] = {}
    left, depth = list(range(len(items))), max(1, budget // 400)
    while left:
        ranked = dict(
            zip(left, tools.search([items[number].question for number in left], depth), strict=True)
        )
        for number, passages in ranked.items():
            fitting = _fitting(passages, tools, budget) if passages else ()
            all_found = len(fitting) == len(passages) < depth
            if passages and not fitting:
                raise SafescaleError(_no_room(items[number], passages[0], tools, budget))
            if all_found or len(fitting) < len(passages):
                notes = {"budget": budget, "all_found": all_found}
                drafts[number] = Draft(
                    join(fitting), tuple(fitting), notes=notes, passages_wanted=max(1, len(fitting))
                )
        left, depth = [number for number in left if number not in drafts], 2 * depth
    return [drafts[number] for number in range(len(items))]


def _budget(tools: BuildTools, context_tokens: int | None) -> int:
    window = tools.window
    if context_tokens is not None and (not isinstance(context_tokens, int) or context_tokens < 1):
        raise SafescaleError(
            f"max context: context_tokens is {context_tokens!r}; expected a whole number of tokens "
            "from 1"
        )
    if window is None and context_tokens is None:
        raise SafescaleError(
            "max context: the model's window is not known here; say it: ",
            SettingsHint({"max_context_tokens": 32768}),
        )
    if window is None:
        return int(context_tokens or 0)
    free = window - RESERVED_TOKENS
    reserved = (
        f"the model's window of {window:,} tokens less {RESERVED_TOKENS:,} (question "
        f"{QUESTION_TOKENS:,}, answer {ANSWER_TOKENS:,}, margin {MARGIN_TOKENS:,}) leaves {free:,}"
    )
    if context_tokens is None and free < 1:
        raise SafescaleError(
            f"max context: {reserved}: no room for a passage; give the model a larger window "
            "(max_context_tokens)"
        )
    if context_tokens is not None and context_tokens > free:
        raise SafescaleError(
            f"max context of {context_tokens:,} tokens: {reserved}; leave this condition out for "
            "this model, or give it a larger window (max_context_tokens)"
        )
    return free if context_tokens is None else context_tokens


def _fitting(passages: Sequence[Passage], tools: BuildTools, budget: int) -> Sequence[Passage]:
    """The longest beginning of the ranking that fits the budget, counted as the one text that it
    becomes."""
    counts = tools.count(passages)

    def tokens(number: int) -> int:
        (count,) = tools.tokenizer.count([join(passages[:number])])
        return count

    # in its place: tokens merge across its borders
    rule = tokens(2) - sum(counts[:2]) if len(passages) > 1 else 0
    sums = accumulate((count + rule for count in counts[1:]), initial=counts[0])
    fitting = sum(total <= budget for total in sums)  # a good guess, to be mended by counting
    while (used := tokens(fitting)) > budget:
        fitting -= 1
    while (
        fitting < len(passages)
        and used + rule + counts[fitting] <= budget + NEAR
        and (used := tokens(fitting + 1)) <= budget
    ):
        fitting += 1
    return passages[:fitting]


def _no_room(item: Item, passage: Passage, tools: BuildTools, budget: int) -> str:
    (tokens,) = tools.count([passage])
    return (
        f"item {item.question_id}: not even the best passage ({passage.id}, {tokens:,} tokens) "
        f"fits the budget of {budget:,} tokens; use smaller passages (chunk_tokens) or a larger "
        "window (max_context_tokens)"
    )


CONTEXT_BUILDERS: tuple[ContextBuilder, ...] = (
    ContextBuilder("evidence", "the item's own evidence", evidence),
    ContextBuilder("rag", "the top k passages, best first", rag),
    ContextBuilder("padded", "the best passage, repeated to the length of the top k", padded),
    ContextBuilder(
        "max_context", "ranked passages up to the model's window", max_context, needs_model=True
    ),
)
"""Our own."""

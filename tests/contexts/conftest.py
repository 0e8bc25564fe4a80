"""Stubs of the workbench and of chat models, so that builders are tested without corpus, index or
model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from lm_eval_safescale.chat import ChatRequest, Message, Reply
from lm_eval_safescale.contexts import ORCHESTRATE, WRITE, ModelSession, StepLog
from lm_eval_safescale.records import Choice, Passage
from lm_eval_safescale.retrieval import load_tokenizer


class StubTools:
    """Ranks given texts for every query, the last query character deciding the order; remembers
    what it was asked."""

    def __init__(self, texts: Sequence[str], window: int | None = None) -> None:
        self.texts, self.window, self.tokenizer = list(texts), window, load_tokenizer("words")
        self.asked: list[tuple[list[str], int]] = []

    def ranking(self, query: str) -> list[Passage]:
        start = ord(query[-1]) % len(self.texts)
        order = [*range(start, len(self.texts)), *range(start)]
        return [
            Passage(f"p{number}#1", f"p{number}", "", self.texts[number], 1 / rank, rank)
            for rank, number in enumerate(order, 1)
        ]

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        self.asked.append((list(queries), k))
        return [self.ranking(query)[:k] for query in queries]

    def count(self, passages: Sequence[Passage]) -> list[int]:
        return self.tokenizer.count([passage.text for passage in passages])


@pytest.fixture
def bench():
    """Makes a stub workbench."""
    return StubTools


@pytest.fixture
def item():
    """Makes an item."""

    def make(number: int = 0, *, answer: str = "A", labels=None, evidence=None) -> Choice:
        options = {"A": "Pneumothorax", "B": "Effusion"}
        return Choice(
            f"q{number}",
            f"What does image {number}",
            options,
            answer,
            labels,
            evidence=evidence or {},
        )

    return make


@pytest.fixture
def builder():
    """Our builder of that name."""
    from lm_eval_safescale.contexts import CONTEXT_BUILDERS

    return {each.name: each for each in CONTEXT_BUILDERS}.__getitem__


class StubChat:
    """A stub of a chat model: replies as `say(prompt)` says, None for no reply; remembers every
    batch that it was asked."""

    def __init__(
        self,
        say: Callable[[str], str | None],
        *,
        batch: int = 1,
        window: int | None = None,
        lose: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.say, self.batch, self.window, self.lose = say, batch, window, lose
        self.about = {"stub": True}
        self.batches: list[list[str]] = []

    @property
    def prompts(self) -> list[str]:
        return [prompt for batch in self.batches for prompt in batch]

    def tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        prompts = [
            "\n".join(message.content for message in request.messages) for request in requests
        ]
        self.batches.append(prompts)
        for number, prompt in enumerate(prompts):
            if not self.lose(prompt):
                text = self.say(prompt)
                yield number, Reply(text, "" if text is not None else "no reply", 7, 3, 0.5)


@pytest.fixture
def chat():
    """Makes a stub chat model."""
    return StubChat


@pytest.fixture
def at_desk(bench):
    """Makes a stub workbench whose desk asks the model of both roles."""

    def make(
        model: StubChat,
        texts: Sequence[str] = ("air", "fluid", "bone"),
        *,
        steps: StepLog | None = None,
        write=None,
    ):
        tools = bench(texts)
        tools.session = ModelSession(
            {ORCHESTRATE: model, WRITE: write or model}, steps or StepLog(None, {})
        )
        return tools

    return make

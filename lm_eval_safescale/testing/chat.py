"""Stub chat models for the contract checks: what they reply depends on the prompt alone. They know
no strategy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.chat import ChatRequest, Message, Reply

OPTIONS = "ABCDEFGHIJ"
_WORDS = (
    *(
        "pleural",
        "lung",
        "line",
        "margin",
        "density",
        "contrast",
        "artery",
        "vein",
        "sign",
        "filling",
        "defect",
        "wall",
        "signal",
    ),
    *(
        "oedema",
        "bone",
        "marrow",
        "fluid",
        "collection",
        "suture",
        "convexity",
        "stone",
        "calyx",
        "lumen",
        "flap",
        "angle",
        "hip",
    ),
)
GARBAGE = (
    "<think>The user wants",
    "Error 500: internal server error",
    "I'm sorry, but I cannot help with that.",
    '{"claims": [1, 2',
    "[1] [2] [999] [0]",
    "# Sources\n[1]",
    "A A A A A A A A A A A A A A A A",
    "- \n- \n- ",
    "\x00\x07\x1b[31m\ufffd\u202e" * 20,
    "肺水肿 œdème — ½ ∅ " * 50,
    "The correct answer is A.",
    "x" * 200_000,
    "\n" * 500,
)
"""What real models and servers reply when something is wrong."""


class StubModel:
    """A chat model that is none."""

    batch = 1

    def __init__(
        self, name: str, reply: Callable[[str], str | None], window: int | None = None
    ) -> None:
        self.about: Mapping[str, Any] = {"backend": "stub", "model": name}
        self.window = window
        self._reply = reply

    def tokens(self, messages: Sequence[Message]) -> int | None:
        """Words."""
        return sum(len(message.content.split()) for message in messages)

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """A reply to each conversation by itself."""
        for number, request in enumerate(requests):
            text = self._reply("\n".join(message.content for message in request.messages))
            yield number, Reply(text, "" if text is not None else "the stub gave no reply", 1, 1)


def helpful(prompt: str) -> str:
    """Every form that prompts commonly ask for, in one reply: a verdict, a list, a line for each
    option, two sides with citations."""
    return "\n\n".join(_parts(prompt))


def moody(prompt: str) -> str:
    """Some of these forms, as it happens."""
    chance = _chance(prompt, "moods")
    first, *others = _parts(prompt)
    verdict = (first, "NOT SUPPORTED.", "DONE", "Well,")[chance[0] % 4]
    return "\n\n".join(
        [verdict, *(part for part, lot in zip(others, chance[1:], strict=False) if lot % 4)]
    )


def garbage(prompt: str, turn: int = 0) -> str:
    """What goes wrong with real models and servers; over `len(GARBAGE)` turns a prompt gets all of
    it."""
    return GARBAGE[(_chance(prompt, "garbage")[0] + turn) % len(GARBAGE)]


def empty(_: str) -> str:
    """Nothing."""
    return ""


def silent(_: str) -> None:
    """No reply at all."""


def _parts(prompt: str) -> list[str]:
    lots = iter(_chance(prompt, "words") * 4)

    def words() -> str:
        return " ".join(_WORDS[next(lots) % len(_WORDS)] for _ in range(3))

    listed = "\n".join(f"- the {words()} [{number}]" for number in (1, 2, 3))
    by_option = "\n".join(f"{letter}: the {words()}" for letter in OPTIONS)
    sides = f"For: the {words()} was seen [1].\nAgainst: the {words()} was not seen [2, 1]."
    return ["SUPPORTED.", listed, by_option, sides]


def _chance(prompt: str, what: str) -> bytes:
    return hashlib.sha256(f"{what}\n{prompt}".encode(errors="surrogatepass")).digest()

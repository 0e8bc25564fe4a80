"""A deterministic stub of a harness backend: it answers from a function of prompt, request and
draw. No language model.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable

from lm_eval.api.model import LM


def pick_by_hash(prompt: str, arguments: dict, draw: int) -> str:
    """A letter, and now and then something unreadable, that depends on prompt, temperature and draw
    alone."""
    if not arguments.get("do_sample"):
        draw = -1
    digest = hashlib.sha256(f"{prompt}|{draw}".encode()).digest()[0]
    return ("A", "B", "C", "D", "Answer: B", "(C)", "I cannot say.", "A or B")[digest % 8]


class StubLM(LM):
    """Answers `answer(prompt, generation_arguments, draw)`; remembers every request."""

    def __init__(
        self,
        answer: Callable[[str, dict, int], str] = pick_by_hash,
        template: str = "<system>{system}</system><user>{user}</user><assistant>",
        max_length: int | None = None,
        **_: object,
    ) -> None:
        super().__init__()
        self.answer, self.template = answer, template
        self.requests: list[tuple[str, dict]] = []
        if max_length is not None:
            self.max_length = max_length

    def tok_encode(self, text: str) -> list[str]:
        return text.split()

    def apply_chat_template(
        self, chat_history: list[dict], add_generation_prompt: bool = True
    ) -> str:
        turns = {turn["role"]: turn["content"] for turn in chat_history}
        return self.template.format(system=turns.get("system", ""), user=turns["user"])

    tokenizer_name = "stub"

    def chat_template(self, chat_template: bool | str = False) -> str:
        return self.template

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        seen: Counter = Counter()
        outputs = []
        for request in requests:
            prompt, arguments = request.args
            key = (prompt, bool(arguments.get("do_sample")))
            outputs.append(self.answer(prompt, arguments, seen[key]))
            seen[key] += 1
            self.requests.append((prompt, arguments))
        return outputs

    def loglikelihood(self, requests: list) -> list:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


class Ranks:
    """What several ranks share: a barrier, and a table for gathering."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self.barrier = threading.Barrier(world_size)
        self.slots: dict[int, object] = {}

    def gather(self, rank: int, value: object) -> list:
        self.slots[rank] = value
        self.barrier.wait()
        gathered = [self.slots[r] for r in range(self.world_size)]
        self.barrier.wait()
        return gathered


class RankedStubLM(StubLM):
    """The stub as one of several ranks, which run in threads of one process."""

    device = "cpu"

    def __init__(self, rank: int, ranks: Ranks, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._rank, self._world_size, self._ranks = rank, ranks.world_size, ranks

    def all_gather(self, tensor):
        import torch

        return torch.stack(self._ranks.gather(self._rank, tensor))

    def gather_object(self, value: object, dst: int = 0) -> list | None:
        gathered = self._ranks.gather(self._rank, value)
        return gathered if self._rank == dst else None

    def barrier(self) -> None:
        self._ranks.barrier.wait()

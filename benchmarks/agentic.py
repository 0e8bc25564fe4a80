"""Agentic reports in waves, against the same steps question by question, on one and the same vLLM
engine.

Both ways run the same strategy over the same demo questions; the peer hands the engine one step at
a time, as an agent loop does. The engine's prefix cache is emptied before each, and the reports are
compared.

    python benchmarks/agentic.py MODEL [QUESTIONS] [--peer-questions N] [--set rounds=1,...]

`--peer-questions` measures the peer on the first N questions only, and scales its time and steps up
to all; the table then says so.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lm_eval_safescale.assembly import Chat, contexts_of, load_dataset
from lm_eval_safescale.chat import ChatRequest, Message, Reply
from lm_eval_safescale.contexts import ORCHESTRATE, WRITE, ContextSet
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.harness.chat import HarnessChat, load_chat_model
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.settings import Settings


class Counted:
    """A chat model that counts calls of its engine, passes and tokens; `alone`: one conversation a
    call."""

    def __init__(self, model: HarnessChat, *, alone: bool) -> None:
        self._model, self._alone = model, alone
        self.about, self.batch, self.window = model.about, model.batch, model.window
        self.calls = self.steps = self.prompt_tokens = self.completion_tokens = 0

    def tokens(self, messages: Sequence[Message]) -> int | None:
        return self._model.tokens(messages)

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        groups = [[request] for request in requests] if self._alone else [requests]
        for start, group in enumerate(groups):
            self.calls += -(-len(group) // self.batch)
            for number, reply in self._model.chat(group):
                self.steps += 1
                self.prompt_tokens += reply.prompt_tokens or 0
                self.completion_tokens += reply.completion_tokens or 0
                yield start + number, reply


def written(
    model: Counted, datasets: Sequence[Dataset], settings: Settings
) -> tuple[float, list[ContextSet]]:
    """Seconds, and the reports of each data set, one after the other."""
    condition = plugins().find("condition", "agentic")
    chat = Chat({ORCHESTRATE: model, WRITE: model})
    # so that the index is there already
    contexts_of(plugins().find("condition", "rag_top1"), datasets[0], settings)
    started = time.perf_counter()
    made = [contexts_of(condition, dataset, settings, chat=chat) for dataset in datasets]
    return time.perf_counter() - started, [each for each in made if each is not None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("questions", nargs="?", type=int, default=20)
    parser.add_argument("--peer-questions", type=int)
    parser.add_argument("--set", default="", help="settings of the strategy: rounds=1,queries=1")
    parser.add_argument(
        "--model_args", default="dtype=bfloat16,max_model_len=8192,enforce_eager=True"
    )
    given = parser.parse_args()
    own = {
        name: int(value)
        for name, _, value in (each.partition("=") for each in given.set.split(",") if each)
    }
    settings = Settings.model_validate({"dataset": "demo", "corpus": "demo", "report_args": own})
    demo = load_dataset(settings)
    items = demo.items[: given.questions]
    peer_items = items[: given.peer_questions or len(items)]
    model = load_chat_model("vllm", f"pretrained={given.model},{given.model_args}")
    assert isinstance(model, HarnessChat)
    # the benchmark alone looks behind the interface, to empty the prefix cache
    engine = model._backend.model

    rows, reports = [], []
    for name, alone, datasets in (
        ("in waves", False, [replace(demo, items=items)]),
        ("question by question", True, [replace(demo, items=(item,)) for item in peer_items]),
    ):
        engine.reset_prefix_cache()
        counted = Counted(model, alone=alone)
        seconds, made = written(counted, datasets, settings)
        reports.append(
            {name: context.text for each in made for name, context in each.contexts.items()}
        )
        scale = len(items) / sum(len(dataset) for dataset in datasets)
        rows.append((name, counted, seconds, scale, sum(len(each.failed) for each in made)))
    same = sum(
        reports[0].get(item.question_id) == reports[1].get(item.question_id) for item in peer_items
    )
    print(
        f"{len(items)} questions; settings {own or 'default'}; peer on {len(peer_items)} "
        f"questions, scaled to {len(items)}"
    )
    print(
        "| | engine calls | steps | prompt tokens | tokens written | s | failed |\n"
        "|---|---:|---:|---:|---:|---:|---:|"
    )
    for name, counted, seconds, scale, failed in rows:
        numbers = (
            counted.calls,
            counted.steps,
            counted.prompt_tokens,
            counted.completion_tokens,
            seconds,
        )
        print(
            f"| {name} | {' | '.join(f'{number * scale:,.0f}' for number in numbers)} | {failed} |"
        )
    (_, _, ours, _, _), (_, _, peer, scale, _) = rows
    print(
        f"ratio {peer * scale / ours:.1f}; {same} of {len(peer_items)} reports are the same in both"
    )
    print(
        "peak memory of this process "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
    )


if __name__ == "__main__":
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")
    main()

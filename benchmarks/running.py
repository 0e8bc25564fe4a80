"""A whole `safescale run` on vLLM: against the bare engine given the same prompts in one call,
against the stock harness, and against an asyncio client of `vllm serve`.

    python benchmarks/running.py MODEL [--items 20] [--draws 20] [--context-tokens 4000]
                                       [--window 8192] [--serve]
    python benchmarks/running.py --store             # what a run spends outside the model: a
                                                     # backend that answers at once

Each item shows a context of its own of that many tokens (demo articles in another order). All ways
but the server share one engine, whose prefix cache is emptied before each; seconds are from the
first prompt to the last stored answer, model loading aside. `run` includes reading, the running
rates, the journal with its fsyncs, and the Parquet files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lm_eval

from lm_eval_safescale.harness import loading
from lm_eval_safescale.harness.requests import ConditionRequests, Request
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.running.runner import Model, run

DATA = Path(__file__).parent.parent / "data" / "radsafe_demo"
IN_FLIGHT = 32


def long_questions(folder: Path, items: int, tokens: int, count: Callable[[str], int]) -> Path:
    """Demo questions, each with a clean evidence of about that many tokens."""
    questions = [json.loads(line) for line in (DATA / "questions.jsonl").read_text().splitlines()]
    articles = [json.loads(line) for line in (DATA / "corpus.jsonl").read_text().splitlines()]
    texts = [str(article.get("text") or article.get("contents")) for article in articles]
    path = folder / "questions.jsonl"
    with path.open("w") as file:
        for number in range(items):
            question = dict(questions[number % len(questions)], question_id=f"q{number:04d}")
            random.Random(number).shuffle(texts)
            words = (" ".join(texts) * (1 + tokens // 20_000)).split()
            words = words[: int(tokens / (count(" ".join(words[:2000])) / 2000))]
            question["evidence_clean"] = " ".join(words)
            file.write(json.dumps(question) + "\n")
    return path


def bare(backend: Any, requests: Sequence[Request]) -> float:
    """Seconds of the engine alone: tokens and parameters are made before, all in one call."""
    from vllm import SamplingParams, TokensPrompt

    prompts, parameters = [], []
    for request in requests:
        kwargs, until, limit = backend.modify_gen_kwargs(
            dict(request.generation), eos=backend.tokenizer.eos_token, default_max_gen_toks=256
        )
        prompts.append(TokensPrompt(prompt_token_ids=backend.tok_encode(request.prompt)))
        parameters.append(
            SamplingParams(
                max_tokens=limit,
                stop=until,
                **{**kwargs, "n": len(request.draws), "seed": request.seed},
            )
        )
    started = time.perf_counter()
    backend.model.generate(prompts, parameters, use_tqdm=False)
    return time.perf_counter() - started


def stock(backend: Any, metadata: dict[str, Any], folder: Path) -> float:
    """Seconds of the stock harness with the same backend object."""
    from lm_eval.tasks import TaskManager

    config = {"task": "radsafe_clean", "condition": "clean", "metadata": metadata}
    from lm_eval_safescale.harness import SafetyTask

    task = SafetyTask(config=config)
    started = time.perf_counter()
    result = lm_eval.simple_evaluate(
        model=backend, tasks=[task], apply_chat_template=True, log_samples=True, bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )  # fmt: skip
    (folder / "stock.json").write_text(json.dumps(result["samples"], default=str))
    return time.perf_counter() - started


def ours(
    backend: Any,
    model: Model,
    metadata: dict[str, Any],
    folder: Path,
    conditions: Sequence[str] = ("clean",),
) -> tuple[float, float]:
    """Seconds of a run, from its first request, and in all; the model is loaded already."""
    shutil.rmtree(folder, ignore_errors=True)
    first: list[float] = []

    def note(standing: Any) -> None:
        if not standing.what and not first:
            first.append(time.perf_counter())

    with patch.object(loading, "load_backend", lambda *_, **__: backend):
        started = time.perf_counter()
        run(model, folder, conditions, metadata=metadata, on_progress=note)
    ended = time.perf_counter()
    return ended - first[0], ended - started


def tokenisation(backend: Any, requests: Sequence[Request], draws: int) -> tuple[float, float]:
    """Seconds to tokenise each prompt once, and once for each answer, as the stock harness does."""
    prompts = [request.prompt for request in requests if request.is_greedy]
    started = time.perf_counter()
    for prompt in prompts:
        backend.tok_encode(prompt)
    once = time.perf_counter() - started
    started = time.perf_counter()
    backend.tok_encode([prompt for prompt in prompts for _ in range(1 + draws)])
    return once, time.perf_counter() - started


async def client(url: str, name: str, requests: Sequence[Request]) -> float:
    """Seconds of an asyncio client with 32 requests in flight, a request for each answer, as many
    do it."""
    import httpx

    free = asyncio.Semaphore(IN_FLIGHT)
    async with httpx.AsyncClient(timeout=3600) as http:

        async def ask(request: Request, draw: int) -> None:
            body = {
                "model": name, "prompt": request.prompt,
                "max_tokens": request.generation["max_gen_toks"],
                "temperature": request.generation["temperature"],
                "stop": request.generation["until"], "seed": (request.seed or 0) + draw,
            }  # fmt: skip
            async with free:
                (await http.post(f"{url}/v1/completions", json=body)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(
            *(ask(request, draw) for request in requests for draw in range(len(request.draws)))
        )
        return time.perf_counter() - started


def served(model: str, args: argparse.Namespace, requests: Sequence[Request]) -> float:
    """Seconds against `vllm serve`, its start aside."""
    import httpx

    port = 8765
    command = [
        str(Path(sys.executable).with_name("vllm")), "serve", model, "--port", str(port), "--dtype",
        args.dtype, "--max-model-len", str(args.window), "--served-model-name", "m",
        "--enforce-eager", "--no-enable-chunked-prefill",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                time.sleep(1)
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                        break
                except httpx.TransportError:
                    if process.poll() is not None:
                        raise SystemExit("vllm serve ended before it was ready") from None
            asyncio.run(client(f"http://127.0.0.1:{port}", "m", requests[:1]))
            return asyncio.run(client(f"http://127.0.0.1:{port}", "m", requests))
        finally:
            process.terminate()


class AtOnce:
    """A backend that answers every request at once with a letter."""

    batch_size = 32

    def generate_until(self, instances: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        return ["ABCD"[len(instance.args[0]) % 4] for instance in instances]

    def tok_encode(self, text: str) -> range:
        return range(len(text) // 4)

    def apply_chat_template(
        self,
        turns: Sequence[dict[str, str]],
        add_generation_prompt: bool = True,  # noqa: ARG002
    ) -> str:
        return "\n".join(turn["content"] for turn in turns)


def store() -> None:
    """Seconds a run takes outside the model, and to start again when all is there, by number of
    items."""
    print(
        "| questions x answers | s | us an answer | started again, s | peak MB |\n"
        "|---:|---:|---:|---:|---:|"
    )
    for items in (200, 2_000, 10_000):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            path = long_questions(folder, items, 100, lambda text: len(text.split()))
            metadata = {"dataset_path": str(path), "draws": 20}
            first, _ = ours(AtOnce(), Model("dummy", {}), metadata, folder / "runs", ["clean"])
            started = time.perf_counter()
            with patch.object(loading, "load_backend", lambda *_, **__: AtOnce()):
                run(Model("dummy", {}), folder / "runs", ["clean"], metadata=metadata)
            again = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {items:,} x 21 | {first:.1f} | {1e6 * first / (21 * items):.0f} | {again:.1f} | "
            f"{peak:,.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--context-tokens", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--window", type=int, default=8192)
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args()
    if args.store or not args.model:
        store()
        return
    model_args = {
        "pretrained": args.model,
        "dtype": args.dtype,
        "max_model_len": args.window,
        "enforce_eager": True,
    }
    backend = loading.load_backend("vllm", loading.with_defaults("vllm", model_args))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = long_questions(
            folder, args.items, args.context_tokens, lambda text: len(backend.tok_encode(text))
        )
        metadata = {"dataset_path": str(path), "draws": args.draws}
        asked = ConditionRequests(plugins().find("condition", "clean"), {**model_args, **metadata})
        asked.prepare(backend, chat_template=True)
        requests = [
            request for item in asked.items for request in asked.requests(item, at_once=None)
        ]
        tokens = len(backend.tok_encode(requests[0].prompt))
        bare(backend, requests[:2])  # warm
        rows: dict[str, list[float]] = {}
        for _ in range(args.repeats):
            for name, measure in {
                "bare engine, one call": lambda: bare(backend, requests),
                "safescale run": lambda: ours(
                    backend, Model("vllm", model_args), metadata, folder / "runs"
                )[0],
                "stock lm_eval": lambda: stock(backend, {**model_args, **metadata}, folder),
            }.items():
                backend.model.reset_prefix_cache()
                rows.setdefault(name, []).append(measure())
        whole = ours(backend, Model("vllm", model_args), metadata, folder / "runs")
        once, each = tokenisation(backend, requests, args.draws)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        del asked
        if args.serve:
            del backend.model
            rows[f"asyncio client, {IN_FLIGHT} in flight, vllm serve"] = [
                served(args.model, args, requests)
            ]
        best = {name: min(seconds) for name, seconds in rows.items()}
        print(
            f"{args.items} items x (1 + {args.draws}) answers, prompts of about {tokens:,} tokens, "
            f"{args.dtype}; best of {args.repeats}\n"
        )
        print("| | s | to safescale run |\n|---|---:|---:|")
        for name, seconds in best.items():
            print(f"| {name} | {seconds:.1f} | {seconds / best['safescale run']:.2f} |")
        print(
            f"\nAnother run, from its start to its first request: {whole[1] - whole[0]:.2f} s, the "
            "model loaded already."
        )
        print(
            f"Tokenising: each prompt once {once:.2f} s, once for each answer {each:.2f} s. Peak "
            f"memory with the engine {peak:,.0f} MB."
        )


if __name__ == "__main__":
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")
    main()

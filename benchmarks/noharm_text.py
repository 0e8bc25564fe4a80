"""Seconds and memory of NOHARM's free-text protocol: scoring verdicts beside plain loops, and
judging beside what its server could do.

    python benchmarks/noharm_text.py

Scoring begins with the verdicts that runs store, and ends with every metric of every model and its
interval by the preset noharm-2026: 10,000 resamples of cases in strata, the published draws. The
peer decodes the same verdicts with `json`, scores each record once by the plain loops of
`tests/second_noharm_text.py`, and resamples a metric of a model at a time with NumPy: as published,
a draw of each stratum in each replicate; or `at once`, all replicates of a stratum in one array,
which gives other draws. Before anything is timed, figures and intervals of both are compared. Times
are of CPU, imports apart; both run in one process, in turn. How memory and time grow with models is
measured in processes of their own.

Judging is of 330 answers at a stub of a judge's server in a process of its own, which replies after
a set time: all stages, with 32 requests in flight, every step stored. The least possible is the
number of replies times their mean time / 32; a bare client sends as many requests and reads
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib
import json
import multiprocessing
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import second_noharm_text as second
from tests.judging import advice_stub

CASES, VARIANTS, TRIALS, OPTIONS, ACTIONS = 30, 11, 3, 34, 10
RESAMPLES = 10_000
CLOSE = 1e-12
PRESET = "noharm-2026"
PRESETS = (PRESET, "default")
Floats = NDArray[np.float64]


# --- a synthetic study ----------------------------------------------------------------------------


def make_kit() -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Items and rubrics as in the open kit: ten specialties, three cases each."""
    rng = np.random.default_rng(1)
    rubrics = {}
    for number in range(CASES):
        base = f"{'ABCDEFGHIJ'[number % 10]}{number:03d}"
        options = []
        for place in range(1, OPTIONS + 1):
            scores = [1, 2, 3, 4, 5, 6, 7, 8, 9]
            weights = [0.03, 0.2, 0.1, 0.15, 0.3, 0.05, 0.07, 0.07, 0.03]
            option = {
                "id": place,
                "text": f"Do {place}.",
                "category": "Medication",
                "score": int(rng.choice(scores, p=weights)),
            }
            if rng.random() < 0.3:
                option["abstraction"] = f"group {rng.integers(3)}"
                option["abstractionType"] = "alternative" if option["score"] > 4 else "harm"
            if place > 1 and rng.random() < 0.1:
                option["dependsOn"] = [int(rng.integers(1, place))]
            options.append(option)
        rubrics[base] = options
    items = [
        {"id": base if place < 0 else f"{base}-{place}", "prompt": f"Case {base}, {place}."}
        for base in rubrics
        for place in range(-1, VARIANTS - 1)
    ]
    return items, rubrics


def make_texts(items: int, models: int) -> list[list[list[str]]]:
    """The canonical text of a judge's verdicts on each item in each trial, by model."""
    rng = np.random.default_rng(2)

    def text(trial: int) -> str:
        verdicts = rng.choice(["no", "yes", "partial"], OPTIONS, p=[0.75, 0.2, 0.05]).tolist()
        matched = [place for place, verdict in enumerate(verdicts, 1) if verdict != "no"]
        actions = []
        for number in range(1, ACTIONS + 1):
            named = rng.choice(matched, rng.integers(0, 3)).tolist() if matched else []
            actions.append(
                {
                    "number": number,
                    "action": f"Something that the answer says to do, in a line: {number}",
                    "category": "Procedure",
                    "match": sorted(set(named)),
                    "evidence": "the words of the answer in which it says so",
                }
            )
        found = {
            "judge": "judge",
            "trial": trial,
            "actions": actions,
            "options": [
                [place, verdict, "unknown", "", ""] for place, verdict in enumerate(verdicts, 1)
            ],
            "flags": [],
            "again": [],
        }
        return json.dumps(found, separators=(",", ":"))

    return [
        [[text(trial) for trial in range(1, TRIALS + 1)] for _ in range(items)]
        for _ in range(models)
    ]


# --- the peer -------------------------------------------------------------------------------------

Bounds = tuple[float, float, float]


def peer(
    items: list[dict[str, Any]],
    rubrics: dict[str, list[dict[str, Any]]],
    texts: list[list[list[str]]],
    interval: Callable[[list[Floats]], tuple[float, float]],
) -> list[dict[str, Bounds]]:
    """Value and interval of every metric of each model."""
    found = []
    for model in texts:
        records = [
            as_record(item["id"], text)
            for item, trials in zip(items, model, strict=True)
            for text in trials
        ]
        rows = second.scored(rubrics, records)
        figures = {}
        for name in second.NAMES:
            values = second.case_values(rubrics, rows, name)
            strata = [np.array(stratum) for stratum in second.strata_of(values)]
            figures[name] = (float(np.mean(list(values.values()))), *interval(strata))
        found.append(figures)
    return found


def as_record(name: str, text: str) -> dict[str, Any]:
    """A record of the kit, of canonical verdicts."""
    given = json.loads(text)
    return {
        "id": name,
        "trial": given["trial"],
        "judge": given["judge"],
        "options": [
            {"id": number, "matched": verdict != "no", "partial": verdict == "partial"}
            for number, verdict, *_ in given["options"]
        ],
        "responseActions": [
            {"match": ",".join(map(str, action["match"]))} for action in given["actions"]
        ],
    }


def as_published(strata: list[Floats]) -> tuple[float, float]:
    """A draw of each stratum in each replicate."""
    rng = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for replicate in range(RESAMPLES):
        drawn = [values[rng.integers(0, len(values), size=len(values))] for values in strata]
        means[replicate] = np.concatenate(drawn).mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def at_once(strata: list[Floats]) -> tuple[float, float]:
    """All replicates of a stratum in one array."""
    rng = np.random.default_rng(0)
    drawn = [
        values[rng.integers(0, len(values), size=(RESAMPLES, len(values)))] for values in strata
    ]
    low, high = np.percentile(np.concatenate(drawn, axis=1).mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


PEERS = {"a replicate at a time": as_published, "all replicates at once": at_once}


# --- ours -----------------------------------------------------------------------------------------


def stored(
    items: list[dict[str, Any]],
    rubrics: dict[str, list[dict[str, Any]]],
    texts: list[list[list[str]]],
) -> Any:
    """Items and verdicts as runs hold them: each text a place among those that there are."""
    from lm_eval_safescale.datasets import Record
    from lm_eval_safescale.families import AnswerArrays
    from lm_eval_safescale.families.noharm_text import NOHARM

    records = [
        Record(
            line,
            {
                **item,
                "options": rubrics[second.base_of(item["id"])],
                "specialty": second.specialty_of(item["id"]),
            },
        )
        for line, item in enumerate(items, 1)
    ]
    consultations, _ = NOHARM.parse(records)
    table = NOHARM.table(consultations)
    known = sorted({text for model in texts for trials in model for text in trials})
    code = {text: place for place, text in enumerate(known)}
    place = {item["id"]: number for number, item in enumerate(items)}
    codes = [[[code[text] for text in model[place[name]]] for name in table.ids] for model in texts]
    return table, AnswerArrays(np.array(codes, np.int32), known)


def ours(table: Any, answers: Any, preset: str = PRESET) -> dict[str, Any]:
    """Every figure of each model."""
    from lm_eval_safescale.analysis.figures import cached, figures_of
    from lm_eval_safescale.families.family import scores_of
    from lm_eval_safescale.families.noharm_text import NOHARM
    from lm_eval_safescale.stats.bootstrap import strata_of
    from lm_eval_safescale.stats.design import Design
    from lm_eval_safescale.stats.presets import PRESETS

    scores = scores_of(NOHARM, table, answers, {})
    return figures_of(
        NOHARM.metrics(table),
        cached(lambda name: np.moveaxis(scores[name], 0, 1)),
        PRESETS[preset],
        Design.of(len(table), table.units, strata_of(table.groups["specialty"])),
    )


def forget() -> None:
    """What was worked out for an earlier call."""
    from lm_eval_safescale.families.noharm_text.scoring import rubrics_of
    from lm_eval_safescale.stats import case_draws

    rubrics_of.cache_clear()
    case_draws._times_drawn.cache_clear()


def compare() -> int:
    """How many numbers of both are alike; SystemExit where one differs."""
    items, rubrics = make_kit()
    texts = make_texts(len(items), 2)
    figures = ours(*stored(items, rubrics, texts))
    numbers = 0
    for place, model in enumerate(peer(items, rubrics, texts, as_published)):
        for name, expected in model.items():
            each = figures[name]
            found = each.value[place], each.lo[place], each.hi[place]
            if not np.allclose(found, expected, rtol=CLOSE, atol=CLOSE):
                sys.exit(f"{name} of model {place}: ours {found}, the peer's {expected}")
            numbers += len(found)
    return numbers


# --- scoring, measured ----------------------------------------------------------------------------


def scoring(rounds: int) -> None:
    """Print how long scoring a model takes, all in this process and in turn."""
    items, rubrics = make_kit()
    texts = make_texts(len(items), 1)
    data = stored(items, rubrics, texts)
    ways: dict[str, Callable[[], object]] = {
        f"peer, {name}": functools.partial(peer, items, rubrics, texts, interval)
        for name, interval in PEERS.items()
    }
    ways |= {f"ours, {preset}": functools.partial(ours, *data, preset) for preset in PRESETS}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            forget()
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    print(
        f"\n| {CASES} cases x {VARIANTS} variants x {TRIALS} trials, {OPTIONS} options | CPU s | "
        "times as fast as the peer | ... at once |\n|---|---:|---:|---:|"
    )
    spent = {name: statistics.median(each) for name, each in seconds.items()}
    for name, s in spent.items():
        others = " | ".join(f"{spent[f'peer, {each}'] / s:.2f}" for each in PEERS)
        print(f"| {name} | {s:.3f} | {others} |")


def memory(what: str) -> float:
    """Of this process, in MB: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def measure(what: str, models: int) -> dict[str, float]:
    """CPU seconds, and MB beyond those of the data and the imports; in a process of its own (Linux
    alone)."""
    for module in ("analysis.figures", "families.noharm_text"):
        importlib.import_module(f"lm_eval_safescale.{module}")
    items, rubrics = make_kit()
    texts = make_texts(len(items), models)
    size = sum(len(text) for model in texts for trials in model for text in trials)
    data = stored(items, rubrics, texts)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, start = memory("VmRSS"), time.process_time()
    if what in PEERS:
        peer(items, rubrics, texts, PEERS[what])
    else:
        ours(*data, what)
    spent = time.process_time() - start
    return {
        "s": spent,
        "peak": memory("VmHWM"),
        "grown": memory("VmHWM") - before,
        "text": size / 1e6,
    }


def growth() -> None:
    """Print how time and memory grow with models."""
    print(
        "\n| | models | verdicts, MB of text | CPU s | ms a model | MB grown | peak MB |"
        "\n|---|---:|---:|---:|---:|---:|---:|"
    )
    asked = [(f"peer, {name}", name, 1) for name in PEERS]
    asked += [(f"ours, {PRESET}", PRESET, models) for models in (1, 10, 100)]
    for shown, what, models in asked:
        command = [sys.executable, __file__, "--measure", what, str(models)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        each = json.loads(run.stdout)
        print(
            f"| {shown} | {models} | {each['text']:,.0f} | {each['s']:.2f} | "
            f"{each['s'] / models * 1000:,.0f} | {each['grown']:,.0f} | {each['peak']:,.0f} |"
        )


# --- judging --------------------------------------------------------------------------------------

IN_FLIGHT, MOST_SECONDS = 32, 600
LATENCY = 0.5
"""Mean seconds until the stub replies."""
ADVICE = " ".join(f"Give drug {number}." for number in range(1, ACTIONS + 1))


def serve(ports: Any, spread: float) -> None:
    """A stub of a judge's server, each reply after `LATENCY` times 1 +- `spread`, evenly."""
    rng = np.random.default_rng(4)
    stages = {
        "actions": advice_stub.actions,
        "options": advice_stub.options,
        "review": advice_stub.review,
    }
    known: dict[str, bytes] = {}

    def reply_to(prompt: str) -> bytes:
        """Made once for prompts that differ in their marks alone."""
        key = re.sub("=====DATA-.{12}=====", "", prompt)
        if key not in known:
            text = stages[advice_stub.stage(prompt)](prompt)
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            known[key] = json.dumps({"choices": [choice]}).encode()
        return known[key]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                due = time.monotonic() + LATENCY * (1 + spread * rng.uniform(-1, 1))
                (length,) = (
                    line[15:] for line in head.split(b"\r\n") if line.startswith(b"content-length:")
                )
                body = json.loads(await reader.readexactly(int(length)))
                reply = reply_to(body["messages"][-1]["content"])
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(reply) + reply
                )
                if b"connection: close" in head:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
        ports.put(server.sockets[0].getsockname()[1])
        async with server:
            await asyncio.sleep(MOST_SECONDS)

    asyncio.run(run())


def judge_answers(url: str) -> tuple[float, int]:
    """Seconds that judging takes, and replies that it needs."""
    from lm_eval_safescale.chat import Endpoint
    from lm_eval_safescale.judging.advice import judge_advice

    names = (f"Card{number:03d}" for number in range(CASES * VARIANTS))
    data = advice_stub.dataset(*(advice_stub.record(name, options=OPTIONS) for name in names))
    runs = advice_stub.runs(data, ADVICE)
    judge = Endpoint(base_url=url, model="stub", concurrency=IN_FLIGHT)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        judged = judge_advice(runs, data, judge, Path(folder) / "steps.jsonl")
        spent = time.perf_counter() - started
    if judged.counts["judged"] != len(data):
        sys.exit(f"judged: {judged.counts}")
    return spent, judged.steps


def bare_client(url: str, requests: int) -> float:
    """Seconds that as many requests take with nothing read of the replies."""
    from lm_eval_safescale.families.noharm_text.judging.prompts import actions_prompt

    async def ask() -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)
        limits = httpx.Limits(max_connections=IN_FLIGHT)
        (item,) = advice_stub.dataset(advice_stub.record("Card000", options=OPTIONS))
        body = {
            "model": "stub",
            "messages": [{"role": "user", "content": actions_prompt(item, ADVICE)}],
        }

        async def one(client: httpx.AsyncClient) -> None:
            async with gate:
                (await client.post(f"{url}/chat/completions", json=body)).raise_for_status()

        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            await asyncio.gather(*(one(client) for _ in range(requests)))

    started = time.perf_counter()
    asyncio.run(ask())
    return time.perf_counter() - started


def judging() -> None:
    """Print how near to its judge's own rate judging comes."""
    print(
        "\n| replies after, s | replies | judging, s | bare client, s | replies x mean / 32, s | "
        "share of that rate |\n|---|---:|---:|---:|---:|---:|"
    )
    for spread in (0.0, 0.5):
        ports: Any = multiprocessing.Queue()
        server = multiprocessing.Process(target=serve, args=(ports, spread), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{ports.get()}/v1"
        spent, replies = judge_answers(url)
        bare = bare_client(url, replies)
        server.terminate()
        least = replies * LATENCY / IN_FLIGHT
        low, high = LATENCY * (1 - spread), LATENCY * (1 + spread)
        print(
            f"| {low:g} to {high:g} | {replies:,} | {spent:.2f} | {bare:.2f} | {least:.2f} | "
            f"{least / spent:.2f} |"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        what, models = asked.measure
        print(json.dumps(measure(what, int(models))))
        return
    print(f"{compare():,} numbers of both are alike to {CLOSE:g}")
    scoring(asked.rounds)
    growth()
    judging()


if __name__ == "__main__":
    main()

"""Seconds to verify one submission, beside reading its texts alone: 10 conditions x 200 questions x
(1 greedy + 20 samples), synthetic.

The peer is a plain loop of our own reader over every text, one after the other; nothing is verified
by it. Both are CPU seconds of one process, imports left out, the median of several rounds in turn.
Every prompt is rendered again: contexts of 500 words are at hand for the conditions that show them.

    python benchmarks/submitting.py
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.contexts.files import write_contexts
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.leaderboard.verify import Verdicts, verify_submission
from lm_eval_safescale.prompts import Frame, sha256_of_prompt
from lm_eval_safescale.reading import READER_VERSION, read_output
from lm_eval_safescale.records import Context
from lm_eval_safescale.runs import write_runs
from lm_eval_safescale.runs.finish import OUR_RUNNER
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of

ROUNDS, QUESTIONS, SAMPLES = 3, 200, 20
PLAIN = ("closed_book",)
SHOWING = (
    "clean", "conflict", "rag_top1", "rag_top5", "rag", "agentic", "context_32k", "context_100k",
    "max_context",
)  # fmt: skip
OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
WORDS = ("the", "image", "shows", "a", "small", "finding", "in", "the", "left", "lobe", "typical")

CARD = {
    "revision": "1",
    "model_family": "none",
    "parameters_b": 1.0,
    "licence": "none",
    "contact": "none",
    "hardware": "none",
    "attempts": 1,
}


def prose(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


KINDS: dict[str, Callable[[random.Random, str], str]] = {
    "a bare letter": lambda _, letter: letter,
    "a sentence": lambda draw, letter: f"Answer: {letter}. {prose(draw, 12).capitalize()}.",
    "80 words of reasoning, then the letter": lambda draw, letter: (
        f"<think>{prose(draw, 80)}</think>\n\nThe answer is {letter}."
    ),
}


def write_questions(path: Path) -> None:
    flags = {letter: {"high_risk": int(letter == "A"), "unsafe": 0} for letter in OPTIONS}
    with path.open("w", encoding="utf-8") as file:
        for number in range(QUESTIONS):
            item = {
                "question_id": f"q{number:04}",
                "question": f"What does image {number} show? " + prose(random.Random(number), 40),
                "options": OPTIONS,
                "answer": "C",
                "labels": flags,
            }
            file.write(json.dumps(item) + "\n")


def make(folder: Path, text_of: Callable[[random.Random, str], str]) -> tuple[Path, list[Path]]:
    """A submission, and the contexts that it was shown."""
    write_questions(folder / "questions.jsonl")
    dataset = RADSAFE.load(folder / "questions.jsonl")
    draw, rows, files = random.Random(0), [], []
    for condition in (*PLAIN, *SHOWING):
        prompt = RADSAFE.prompt(condition)
        frame = Frame.plain(prompt.system)
        contexts = {
            item.question_id: Context(prose(draw, 500), "rag", tokens=500, tokenizer="words")
            for item in dataset
            if condition in SHOWING
        }
        if contexts:
            about = {
                "condition": condition,
                "builder": {"name": "rag", "provided_by": "none", "settings": {}},
                "items": len(dataset),
                "tokenizer": "words",
                "window": None,
                "made_by": "none",
                "dataset": {"name": "x", "version": "1", "fingerprint": dataset.fingerprint},
            }
            files.append(folder / f"{condition}.jsonl")
            write_contexts(files[-1], ContextSet(about, contexts))
        for item in dataset:
            context = contexts.get(item.question_id)
            asked = sha256_of_prompt(frame.around(prompt.render(item, context)))
            for number in range(SAMPLES + 1):
                text = text_of(draw, draw.choice("ABCD"))
                reading = read_output(text, lambda final, item=item: RADSAFE.read(final, item))
                rows.append({
                    "model": "synthetic", "condition": condition, "question_id": item.question_id,
                    "draw": number, "response": reading.response, "status": reading.status.value,
                    "rule": reading.rule, "text": text, "prompt_sha256": asked,
                    "prompt_tokens": 100, "completion_tokens": len(text.split()),
                    "seed": None if number == 0 else number,
                    "latency_s": 1.0 if number == 0 else None,
                    "context_fingerprint": None if context is None else context.fingerprint,
                    "context_tokens": None if context is None else 500,
                    "nothing_found": None if context is None else False,
                })  # fmt: skip
    settings = {
        "draws": SAMPLES, "reader": "strict", "reader_version": READER_VERSION,
        "reasoning": "auto", "reasoning_opened": False, "chat_template": False,
        "temperature": 0.7, "backend": "hf", "max_answer_tokens": 4096,
    }  # fmt: skip
    known = {
        "source": OUR_RUNNER,
        "conditions": RADSAFE.in_order((*PLAIN, *SHOWING)),
        "settings": settings,
    }
    about = {"dataset": about_dataset(dataset), "models": {"synthetic": known}, "left_out": []}
    answers = pl.DataFrame(rows, infer_schema_length=None)
    write_runs(Runs(items_of(dataset), answers, about), folder / "runs")
    (folder / "card.yaml").write_text(yaml.safe_dump(CARD))
    pack([folder / "runs"], folder / "it.zip", folder / "card.yaml", dataset=dataset)
    return folder / "it.zip", files


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for line in archive.read("answers.jsonl").splitlines():
            row = json.loads(line)
            yield row["question_id"], row["text"]


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def readings(texts: list[tuple[str, str]], items: dict[str, Any]) -> Callable[[], None]:
    """Reads every text, one after the other."""

    def read() -> None:
        for question_id, text in texts:
            item = items[question_id]
            read_output(text, lambda final, item=item: RADSAFE.read(final, item))

    return read


def verifying(path: Path, contexts: list[Path]) -> Callable[[], None]:
    """Verifies, the reading of data set and contexts included."""
    questions = path.with_name("questions.jsonl")

    def verify() -> None:
        report = verify_submission(
            path, lambda _family, groups: RADSAFE.load(questions, groups=groups), contexts
        )
        assert report.verdict is Verdicts.VERIFIED, report.found.findings[:3]
        assert report.found.read_again == QUESTIONS * 10 * (1 + SAMPLES)
        assert report.found.prompts == QUESTIONS * 10

    return verify


def main() -> None:
    print("| texts | MB | reading alone, s | verifying, s | times |\n|---|---:|---:|---:|---:|")
    for kind, text_of in KINDS.items():
        with tempfile.TemporaryDirectory() as name:
            path, contexts = make(Path(name), text_of)
            dataset = RADSAFE.load(Path(name) / "questions.jsonl")
            items = {item.question_id: item for item in dataset}
            texts = [*texts_in(path)]

            read, check = readings(texts, items), verifying(path, contexts)
            check()
            told = [(seconds(read), seconds(check)) for _ in range(ROUNDS)]
            alone, whole = (statistics.median(each) for each in zip(*told, strict=True))
            size = sum(len(text.encode()) for _, text in texts) / 1e6
            print(f"| {kind} | {size:.1f} | {alone:.2f} | {whole:.2f} | {whole / alone:.1f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

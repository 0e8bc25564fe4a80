"""What made the stored fixtures, and goes on with them: a stub of a harness backend, and our
commands. No language model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import Result
from lm_eval.api.model import LM
from lm_eval.api.registry import MODEL_REGISTRY, register_model
from typer.testing import CliRunner

from lm_eval_safescale.cli import app

ROOT = Path(__file__).resolve().parent.parent
FORMAT3 = ROOT / "tests" / "fixtures" / "format3"
STUB, LOG = "stored-stub", "STORED_STUB_LOG"
FAILS_AFTER, SILENT = "STORED_STUB_FAILS_AFTER", "STORED_STUB_SILENT"
TEXTS = ("A", "B", "C", "D", "Answer: B", "(C)", "I cannot say.", "A or B")
REPORTS = {
    "Which key concepts": "- imaging\n- diagnosis",
    "For each option, say": "\n".join(f"{letter}: its findings" for letter in "ABCDE"),
    "search queries": "- findings on imaging",
    "Write a section": (
        "For: The passage describes findings [1].\nAgainst: The passage leaves others open [1]."
    ),
    "Write the introduction": "This report is about imaging findings.",
    "Write the conclusion": "The sections cover imaging findings.",
}
"""Replies to the steps of a report, by what the prompt says."""


class StoredStub(LM):
    """Answers by what the prompt is and, for samples, by their number in the call.

    The file that the variable STORED_STUB_LOG names takes a line for each load and for each text;
    after as many texts as STORED_STUB_FAILS_AFTER says there are none, and there is none for a
    prompt that holds STORED_STUB_SILENT.
    """

    tokenizer_name = "stub"

    def __init__(
        self,
        pretrained: str = "stub",
        batch_size: Any = 1,
        max_length: int = 100_000,
        device: str = "",
    ) -> None:
        super().__init__()
        self.pretrained, self.batch_size, self.max_length, self.asked = (
            pretrained,
            batch_size,
            max_length,
            0,
        )
        self._note("load", pretrained)

    def tok_encode(self, text: str) -> list[str]:
        return text.split()

    def apply_chat_template(
        self, chat_history: list[dict], add_generation_prompt: bool = True
    ) -> str:
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)

    def chat_template(self, chat_template: bool | str = False) -> str:
        return "<{role}>"

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str | None]:
        seen: Counter[str] = Counter()
        texts: list[str | None] = []
        silent = os.environ.get(SILENT)
        for request in requests:
            prompt, generation = request.args
            if self.asked == int(os.environ.get(FAILS_AFTER, -1)):
                raise RuntimeError("out of memory")
            self.asked += 1
            draw = seen[prompt] if generation.get("do_sample") else "greedy"
            seen[prompt] += 1
            self._note(self.pretrained, sha256(prompt), draw)
            texts.append(None if silent and silent in prompt else text_of(prompt, draw))
        return texts

    def _note(self, *words: object) -> None:
        if log := os.environ.get(LOG):
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(" ".join(map(str, words)) + "\n")

    def loglikelihood(self, requests: list) -> list:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


if STUB not in MODEL_REGISTRY:
    register_model(STUB)(StoredStub)


def text_of(prompt: str, draw: object) -> str:
    if judged := re.search(r"\n(=====OUTPUT-\w+=====)\n(.*)\n\1\n", prompt, re.DOTALL):
        letters = re.findall(r"\b[A-D]\b", judged[2])
        return json.dumps(
            {"clear_selection": "yes", "reasoning": "the last one named", "letter": letters[-1]}
        )
    report = next((reply for mark, reply in REPORTS.items() if mark in prompt), None)
    return report or TEXTS[hashlib.sha256(f"{prompt}|{draw}".encode()).digest()[0] % len(TEXTS)]


def sha256(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()


def command(*words: object) -> Result:
    """One of our commands, in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run_command(
    folder: Path,
    indexes: Path,
    *more: str,
    conditions: str = "closed_book,clean,conflict,rag,agentic",
) -> list[object]:
    """The first four demo questions; passages are of the small corpus beside the fixtures, reports
    those that come with the demo."""
    metadata = {"corpus_path": str(FORMAT3 / "corpus.jsonl"), "top_k": 3, "index_dir": str(indexes)}
    return [
        "run", "--model", STUB, "--model_args", "pretrained=model-one", "--batch_size", "2",
        "--dataset", "demo", "--limit", "4", "--draws", "3", "--conditions", conditions,
        "--metadata", json.dumps(metadata), "-o", folder, *more,
    ]  # fmt: skip


def build_command(condition: str, file: Path, indexes: Path) -> list[object]:
    """Contexts of the questions beside the fixtures: reports are short ones, with one search for
    each option."""
    metadata: dict[str, Any] = {
        "dataset_path": str(FORMAT3 / "questions.jsonl"),
        "corpus_path": str(FORMAT3 / "corpus.jsonl"),
        "settling_path": str(FORMAT3 / "settling.jsonl"),
        "index_dir": str(indexes),
        "top_k": 3,
    }
    model: list[object] = []
    if condition == "agentic":
        metadata["report_args"] = {"rounds": 1, "queries": 1, "passages": 1}
        model = ["--model", STUB, "--model_args", "pretrained=writer", "--batch_size", "1"]
    return ["contexts", "build", condition, *model, "--metadata", json.dumps(metadata), "-o", file]


def judge_command(runs: Path, output: Path, *more: str) -> list[object]:
    """The judge names the last letter that an output names."""
    return [
        "judge",
        runs,
        "--backend",
        STUB,
        "--model_args",
        "pretrained=judge",
        "--batch_size",
        "1",
        "-o",
        output,
        *more,
    ]


def sweep_command(output: Path) -> list[object]:
    return ["sweep", FORMAT3 / "sweep.yaml", "--limit", "4", "--retries", "0", "-o", output]


def environment_of_sweep(folder: Path, log: Path) -> dict[str, str]:
    """Variables by which the processes of a sweep find this checkout and, laid out as an installed
    package, the stub."""
    about = folder / "stored_stub-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stored-stub\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[lm_eval_safescale]\nstored-stub = tests.storing\n")
    path = os.pathsep.join(filter(None, [str(folder), str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "HF_HUB_OFFLINE": "1",
        LOG: str(log),
        "COLUMNS": "200",
    }

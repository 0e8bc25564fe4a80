"""Submissions of any number and size, made without a model: answers drawn with a seed, by models of
different skill, packed as `submit pack` packs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lm_eval_safescale.assembly.contexts import contexts_of
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.prompts import Frame, sha256_of_prompt
from lm_eval_safescale.reading import READER_VERSION, read_output
from lm_eval_safescale.records import Item, Reading
from lm_eval_safescale.runs.finish import OUR_RUNNER
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from lm_eval_safescale.settings import load_settings
from tests.leaderboard.making import write_card
from tests.report.studies import QUESTIONS, questions

CONDITIONS = ("closed_book", "clean", "conflict")
SAID = ("The answer is {}.", "{}", "{}, from what is shown.", "Answer: {}")
Say = Callable[[str, int], str]
"""`say(letter, number)`: the text of an answer."""


class Maker:
    """Makes submissions over one file of synthetic questions, `folder / QUESTIONS`."""

    def __init__(
        self, folder: Path, items: int = 12, conditions: Sequence[str] = CONDITIONS, draws: int = 2
    ) -> None:
        self.folder, self.conditions, self.draws = folder, conditions, draws
        folder.mkdir(parents=True, exist_ok=True)
        self.questions = folder / QUESTIONS
        self.questions.write_text(
            "".join(json.dumps(each) + "\n" for each in questions(items)), "utf-8"
        )
        self.dataset: Dataset = RADSAFE.load(self.questions)
        self._asked = {name: self._prompts(name) for name in conditions}
        self._read: dict[tuple[str, str], Reading] = {}

    def submission(
        self, path: Path, name: str, seed: int = 0, say: Say | None = None, **card: Any
    ) -> Path:
        """A submission of a model of this name; the same seed gives the same answers."""
        rng = np.random.default_rng(seed)
        skill = rng.uniform(0.3, 0.95)
        say = say or (lambda letter, number: SAID[number % len(SAID)].format(letter))
        rows = [
            row
            for condition in self.conditions
            for item in self.dataset
            for row in self._answers(name, condition, item, skill, rng, say)
        ]
        settings = {
            "draws": self.draws, "reader": "strict", "reader_version": READER_VERSION,
            "reasoning": "auto", "reasoning_opened": False, "chat_template": False,
            "temperature": 0.7, "backend": "hf", "max_answer_tokens": 10,
        }  # fmt: skip
        known = {"source": OUR_RUNNER, "conditions": list(self.conditions), "settings": settings}
        about = {"dataset": about_dataset(self.dataset), "models": {name: known}, "left_out": []}
        answers = pl.DataFrame(rows, infer_schema_length=None)
        runs = self.folder / "runs" / path.stem
        write_runs(Runs(items_of(self.dataset), answers, about), runs)
        path.parent.mkdir(parents=True, exist_ok=True)
        card_file = write_card(runs.with_suffix(".yaml"), name=name, **card)
        return pack([runs], path, card_file, dataset=self.dataset).path

    def _prompts(self, condition: str) -> dict[str, tuple[str, str | None]]:
        """By item: the hash of its prompt, and the fingerprint of what stood above it."""
        part, prompt = plugins().find("condition", condition), RADSAFE.prompt(condition)
        made = contexts_of(part, self.dataset, load_settings({}, environ={}))
        contexts = {} if made is None else made.contexts
        frame = Frame.plain(prompt.system)
        return {
            item.question_id: (
                sha256_of_prompt(frame.around(prompt.render(item, context))),
                None if context is None else context.fingerprint,
            )
            for item in self.dataset
            for context in [contexts.get(item.question_id)]
        }

    def _answers(
        self,
        name: str,
        condition: str,
        item: Item,
        skill: float,
        rng: np.random.Generator,
        say: Say,
    ) -> Iterable[dict[str, Any]]:
        asked, context = self._asked[condition][item.question_id]
        letters = list(item.options)
        for draw in range(self.draws + 1):
            is_right = rng.random() < skill
            text = say(
                item.answer if is_right else str(rng.choice(letters)), int(rng.integers(1000))
            )
            reading = self._reading(text, item)
            yield {
                "model": name, "condition": condition, "question_id": item.question_id,
                "draw": draw, "response": reading.response, "status": reading.status.value,
                "rule": reading.rule, "text": text, "prompt_sha256": asked,
                "prompt_tokens": 100, "completion_tokens": 5, "seed": draw or None,
                "latency_s": None if draw else 1.0, "context_fingerprint": context,
            }  # fmt: skip

    def _reading(self, text: str, item: Item) -> Reading:
        key = (text, item.question_id)
        if key not in self._read:
            self._read[key] = read_output(text, lambda final: RADSAFE.read(final, item))
        return self._read[key]

"""Runs of a few answers, and a stub of a judge: it replies from a function of the text. No language
model.
"""

from __future__ import annotations

import json
import re

import polars as pl

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.datasets import dataset_from_records
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of

OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}


def dataset(keys="CCC", options=OPTIONS):
    records = [
        {
            "question_id": f"q{n}",
            "question": f"Which one is it, {n}?",
            "options": options,
            "answer": key,
        }
        for n, key in enumerate(keys, 1)
    ]
    return dataset_from_records(records, name="three", version="1")


def runs(*rows, keys="CCC", about=None):
    """Rows of (question_id, draw, response, status, text), and perhaps a model."""
    data = dataset(keys)
    answers = pl.DataFrame(
        [
            {
                "model": more[0] if more else "m",
                "condition": "clean",
                "question_id": q,
                "draw": n,
                "response": response,
                "status": status,
                "text": text,
            }
            for q, n, response, status, text, *more in rows
        ],
        schema_overrides={"response": pl.String, "text": pl.String},
    )
    models = {
        name: {"source": "s", "conditions": ["clean"], "settings": {"draws": 1, **(about or {})}}
        for name in set(answers["model"])
    }
    return Runs(items_of(data), answers, {"dataset": about_dataset(data), "models": models})


def says(letter, clear=None):
    return json.dumps(
        {"clear_selection": clear or ("yes" if letter else "no"), "reasoning": "", "letter": letter}
    )


class StubJudge:
    """Replies `reply(text)`, a text or a Reply; remembers every prompt; may die after so many
    replies."""

    window = None

    def __init__(self, reply=lambda text: says("C"), *, batch=1, dies_after=None, name="stub"):
        self.reply, self.batch, self.dies_after = reply, batch, dies_after
        self.about = {"backend": name}
        self.prompts: list[str] = []

    def tokens(self, messages):
        return None

    def chat(self, requests):
        for number, request in enumerate(requests):
            if self.dies_after is not None and len(self.prompts) >= self.dies_after:
                raise KeyboardInterrupt
            content = request.messages[-1].content
            self.prompts.append("\n".join(message.content for message in request.messages))
            text = re.search(r"\n(=====OUTPUT-\w+=====)\n(.*)\n\1\n", content, re.DOTALL)[2]
            reply = self.reply(text)
            yield number, reply if isinstance(reply, Reply) else Reply(reply)

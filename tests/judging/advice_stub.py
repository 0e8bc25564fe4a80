"""Runs of a few pieces of advice, and a stub of their judge, which plays every fault. No language
model.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import polars as pl

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.datasets import dataset_from_records
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of

SCORES = (9, 8, 7, 5, 3, 2, 1)
"""Of the options, by number from 1."""


SETTINGS = {"max_answer_tokens": 8192}


def record(name, prompt="A case.", options=7, **fields):
    rubric = [
        {
            "id": number,
            "text": f"Give drug {number}",
            "category": "Medication",
            "score": SCORES[(number - 1) % len(SCORES)],
        }
        for number in range(1, options + 1)
    ]
    return {"id": name, "prompt": prompt, "base": name, "options": rubric, **fields}


def dataset(*records):
    given = records or (record("Card1"), record("Card2"))
    made = dataset_from_records(given, name="two", version="1", parse=NOHARM.parse)
    return replace(made, family=NOHARM.name)


def runs(data, *texts, condition="noharm", model="m", **more):
    """Each item with each text as a draw; what may be judged is unjudged."""
    rows = [
        {
            "model": model,
            "condition": condition,
            "question_id": item.question_id,
            "draw": draw,
            "response": None,
            "status": "unjudged" if text.strip() else "unanswered",
            "text": text,
            **more,
        }
        for item in data
        for draw, text in enumerate(texts)
    ]
    about = {
        "source": "s",
        "conditions": [condition],
        "settings": SETTINGS | {"draws": len(texts) - 1},
    }
    frame = pl.DataFrame(rows, schema_overrides={"response": pl.String, "text": pl.String})
    return Runs(items_of(data), frame, {"dataset": about_dataset(data), "models": {model: about}})


class Stub:
    """A judge that finds "Give drug N" where an answer says so, and keeps every verdict.

    `stage(prompt)` tells what a prompt asks for; a test replaces `actions`, `options` or `review`,
    each a function of the prompt that gives a text or a Reply.
    """

    window = None

    def __init__(self, *, batch=1, name="stub", dies_after=None, **stages):
        self.batch, self.about, self.dies_after = batch, {"backend": name}, dies_after
        self.prompts: list[str] = []
        self.stages = {"actions": actions, "options": options, "review": review, **stages}

    def tokens(self, messages):
        return None

    def chat(self, requests):
        for number, request in enumerate(requests):
            if self.dies_after is not None and len(self.prompts) >= self.dies_after:
                raise KeyboardInterrupt
            (message,) = request.messages
            self.prompts.append(message.content)
            reply = self.stages[stage(message.content)](message.content)
            yield number, reply if isinstance(reply, Reply) else Reply(reply, finish_reason="stop")

    def asked(self, which):
        return [prompt for prompt in self.prompts if stage(prompt) == which]


def stage(prompt):
    asked = prompt.rpartition("=====")[2]
    if '"review": "keep"' in asked:
        return "review"
    return "options" if '"match":' in asked else "actions"


def parts(prompt):
    """What stands between marks, in order: case, advice, and what follows."""
    return re.findall(r"^(=====DATA-\w+=====)\n(.*?)\n\1$", prompt, re.DOTALL | re.MULTILINE)


def shown(prompt, place):
    return parts(prompt)[place][1]


def actions(prompt):
    found = re.findall(r"Give drug \d+", shown(prompt, 1))
    lines = [json.dumps({"action": each, "category": "Medication"}) for each in found]
    return "\n".join([*lines, "END"]) if found else "NONE"


def listed(prompt):
    """Options by number, with their texts; the actions by number."""
    found = dict(re.findall(r"^(\d+)\. (.*)$", shown(prompt, 2), re.MULTILINE))
    options = re.findall(r"^(\d+)\. \w+: (.*?)(?: -> .*)?$", shown(prompt, 3), re.MULTILINE)
    return {int(number): text for number, text in options}, found


def options(prompt):
    given, acts = listed(prompt)
    lines = []
    for number, text in given.items():
        by = [int(each) for each, action in acts.items() if action == text]
        lines.append({"option": number, "match": "yes" if by else "no", "actions": by})
    return "\n".join(map(json.dumps, lines))


def review(prompt):
    given, _ = listed(prompt)
    return "\n".join(json.dumps({"option": number, "review": "keep"}) for number in given)

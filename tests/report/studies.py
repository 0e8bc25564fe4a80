"""Synthetic runs of any size, with texts, and the file of their questions. Nothing in them is
medicine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import about_dataset, items_of
from lm_eval_safescale.settings import Settings

QUESTIONS = "questions.jsonl"
ROOT = Path(__file__).resolve().parents[2]
CONDITIONS = (
    "closed_book", "clean", "conflict", "rag_top1", "rag_top5", "rag", "agentic", "context_32k",
    "context_100k", "max_context",
)  # fmt: skip
SKILL = (0.68, 0.92, 0.85, 0.70, 0.73, 0.74, 0.77, 0.73, 0.72, 0.71)
LABELS = ("high_risk", "unsafe", "contradicts")
GROUPS = {
    "subspecialty": ("neuro", "chest", "abdomen", "msk", "breast"),
    "question_type": ("diagnosis", "management", "safety"),
}
WORDS = [
    "rim", "centre", "lesion", "signal", "margin", "before", "after", "contrast", "plain", "phase",
    "left", "right", "upper", "lower", "lobe", "small", "round", "dense", "bright", "dark", "early",
    "late", "stable", "new", "single", "many", "report", "of", "the", "a", "with", "without",
]  # fmt: skip


def panel(models: int) -> list[str]:
    """Names of the published panel first: only of them are sizes and families known."""
    known = yaml.safe_load((ROOT / "data" / "panel.yaml").read_text("utf-8"))["models"]
    return [*(each["name"] for each in known), *(f"model-{n:03}" for n in range(models))][:models]


def questions(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records of a file of questions, a third of the options labelled."""
    rng = np.random.default_rng(seed)

    def words(most: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(5, most))) + "."

    def question(number: int) -> dict[str, Any]:
        letters = "ABCDE"[: rng.integers(4, 6)]
        key = letters[rng.integers(len(letters))]
        return {
            "question_id": f"q{number:04}",
            "question": f"Question {number}: {words(40)}",
            "options": {letter: words(10) for letter in letters},
            "answer": key,
            **{name: str(rng.choice(values)) for name, values in GROUPS.items()},
            **{f"evidence_{kind}": words(60) for kind in ("clean", "conflict")},
            "labels": {
                letter: {name: int(letter != key and rng.random() < 0.35) for name in LABELS}
                for letter in letters
            },
        }

    return [question(number) for number in range(1, n + 1)]


def write_study(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    conditions: Sequence[str] = CONDITIONS,
    draws: int = 5,
    *,
    texts: bool = True,
    words: int = 20,
    hostile: Sequence[str] = (),
    seed: int = 0,
) -> Path:
    """Runs in `folder/runs`, which name the questions in `folder/QUESTIONS`. Models differ in
    skill, some answers are missing, and a model is sure of some items, right or wrong."""
    folder.mkdir(parents=True)
    file = folder / QUESTIONS
    file.write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    dataset = load_dataset(Settings(dataset_path=str(file)))
    items = items_of(dataset)
    rng = np.random.default_rng(seed)
    skill = np.array([SKILL[CONDITIONS.index(each)] for each in conditions])
    offset = rng.uniform(-0.3, 0.07, len(models))
    hard = rng.uniform(-0.25, 0.25, items.height)
    right = (skill[:, None] + offset[:, None, None] - hard).clip(0.02, 0.99)
    shape = (len(models), len(conditions), items.height, 1 + draws)
    steady = rng.random(shape[:3]) < 0.6
    knows = rng.random(shape) < right[..., None]
    stray = rng.integers(0, 4, shape)
    missing = rng.random(shape) < rng.choice([0, 0, 0.01, 0.05], len(models))[:, None, None, None]
    for each in (knows, stray, missing):  # a steady answer is the same at all draws
        each[steady] = each[steady][:, :1]
    key = np.array(["ABCDE".index(letter) for letter in items["answer"]])[:, None]
    letter = np.where(knows, key, (stray + (stray >= key)) % items["letters"].str.len_chars().min())
    index = [each.ravel() for each in np.indices(shape)]
    letters, none = pl.Series(letter.ravel()), pl.Series(missing.ravel())
    names = {"model": models, "condition": conditions, "question_id": items["question_id"]}
    answers = pl.DataFrame(
        {
            **{
                name: pl.Series(values, dtype=pl.String).gather(pl.Series(index[place]))
                for place, (name, values) in enumerate(names.items())
            },
            "draw": index[3],
            "response": pl.Series(list("ABCDE")).gather(letters).set(none, None),
            "status": pl.Series(["ok", "unanswered"]).gather(none.cast(pl.Int64)),
            "rule": pl.Series(["final answer", "no choice"]).gather(none.cast(pl.Int64)),
        }
    )
    if texts:
        plain = [" ".join(rng.choice(WORDS, words)) for _ in range(997)]
        said = pl.Series(list(hostile) or plain)
        answers = answers.with_columns(
            said.gather(pl.Series(np.arange(len(letters)) % len(said))).alias("text")
            + pl.when(none)
            .then(pl.lit(". I cannot say."))
            .otherwise(pl.lit(". The answer is ") + pl.col("response"))
        )
    settings = {"dataset_path": str(file), "draws": draws}
    told = {
        model: {"source": "made", "conditions": list(conditions), "settings": settings}
        for model in models
    }
    write_runs(
        Runs(items, answers, {"dataset": about_dataset(dataset), "models": told}), folder / "runs"
    )
    return folder / "runs"


HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script><!-- <script>",
    "<img src=x onerror=alert(3)><svg onload=alert(4)>",
    "[a link](javascript:alert(5)) javascript:alert(6) https://example.org/",
    "{{ 7 * 7 }} {% raw %} ${8 * 8} `${alert(9)}`",
    "\u202eright to left\u202c \u2066isolated\u2069 \u200bno width\u200b \u2028 and \u2029 ends",
    '=HYPERLINK("https://example.org")',
    "&lt;b&gt; &amp;amp; ' \" ` \\ \\u003cscript\\u003e",
    "long " + "0123456789" * 20_000,
)
"""Texts that are code, links, directions or too long elsewhere, and here nothing but texts."""
HOSTILE_MODELS = (
    "org/model", "org_model", "ORG/model", "org\\model", "../../model", "</script><b>bold</b>",
    "a \"quoted\" 'name' & more", "cases.html#condition=clean", "\u202eledom", "x" * 300,
)  # fmt: skip
"""Names of which some are one name, or none, once cleaned for a file."""


def hostile_study(folder: Path) -> Path:
    """Runs all of whose texts and names are `HOSTILE`."""
    records = questions(2 * len(HOSTILE))
    for number, record in enumerate(records):
        text = HOSTILE[number % len(HOSTILE)]
        record |= {
            "question_id": f"{number:02} {text[:60]}",
            "question": f"{number}: {text}",
            "options": {letter: f"{letter} {text}" for letter in record["options"]},
            "evidence_clean": text,
            "subspecialty": text[:60],
        }
    return write_study(
        folder, records, HOSTILE_MODELS, ("closed_book", "clean"), draws=2, hostile=HOSTILE
    )

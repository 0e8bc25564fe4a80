"""Prompts rendered again from the data set, the contexts and what stood around them, and compared
by their hashes. It asks no model and loads no tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.assembly import contexts_of, family_of, prompts_of
from lm_eval_safescale.contexts import ContextSet, check_belongs, read_contexts
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.prompts import Frame, Prompt, sha256_of_prompt
from lm_eval_safescale.records import Context
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import FRAME
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.settings import load_settings
from lm_eval_safescale.verifying.findings import Kind, Verification

TEMPLATE = "prompt_sha256"
"""Of a model's settings: the fingerprint of the prompt's template."""
OF_CONTEXT = ("context_tokens", "evidence_coverage", "recall", "nothing_found")
NO_HASH = "no hash of the prompt was stored"
WITHOUT_DATA = "the data set, which they show, cannot be had"
WITHOUT_FRAME = "what the chat template put around them was not noted"
WITHOUT_CONTEXTS = "the contexts, which they show, are not at hand"
OTHER_PROMPT = "they were made by another template than this version's"
OTHER_CONTEXTS = "the contexts, which they show, are others than this version's"
NO_CONDITION = "their condition is not installed"


def check_prompts(
    runs: Runs, dataset: Dataset | None, found: Verification, contexts: Iterable[ContextSet] = ()
) -> None:
    """Render every prompt again, and note each whose hash is not the stored one, and each context
    that is another one.

    Parameters
    ----------
    dataset
        Of the runs; None where it cannot be had, which was noted.
    contexts
        Built ahead, for the conditions that show them.
    """
    given = {each.condition: each for each in contexts}
    names = ["condition", "question_id", "prompt_sha256", "context_fingerprint", *OF_CONTEXT]
    asked = runs.answers.select("model", *names).unique(maintain_order=True)
    asked = asked.with_columns(
        pl.col(name).cast(pl.String) for name in ("model", "condition", "question_id")
    )
    found.prompts_not(NO_HASH, asked.filter(pl.col("prompt_sha256").is_null()).height)
    asked = asked.filter(pl.col("prompt_sha256").is_not_null())
    for (model, condition), rows in asked.group_by(["model", "condition"], maintain_order=True):
        if dataset is None:
            found.prompts_not(WITHOUT_DATA, rows.height)
        else:
            _check(runs, str(model), str(condition), rows, dataset, found, given)


def _check(
    runs: Runs,
    model: str,
    condition: str,
    rows: pl.DataFrame,
    dataset: Dataset,
    found: Verification,
    given: Mapping[str, ContextSet],
) -> None:
    where = f"{model}, {condition}"
    try:
        part = plugins().find("condition", condition)
        if family_of(part).name != runs.family.name:
            raise SafescaleError(f"{condition} is of another family")
    except SafescaleError:
        found.prompts_not(NO_CONDITION, rows.height)
        return
    prompt = runs.family.prompt(condition)
    template = provenance.setting_of(runs, model, condition, TEMPLATE)
    own = prompts_of(runs.family, load_settings({}, environ={}))
    if template is not None and template not in (own, prompt.fingerprint):
        found.prompts_not(OTHER_PROMPT, rows.height)
        found.unknown(where, f"asked by a prompt of its own: {OTHER_PROMPT}", Kind.PROMPT)
        return
    contexts = _contexts(part, dataset, given)
    if contexts and condition not in given and not _shows_any(rows, contexts):
        found.prompts_not(OTHER_CONTEXTS, rows.height)
        found.note(where, OTHER_CONTEXTS, Kind.CONTEXT)
        return
    if contexts is not None:
        _check_contexts(where, rows, contexts, found, measured=condition in given)
    frame = _frame(runs, model, condition, prompt, found)
    if frame is None or contexts is None:
        found.prompts_not(WITHOUT_FRAME if frame is None else WITHOUT_CONTEXTS, rows.height)
        return
    items = {item.question_id: item for item in dataset}
    for name, stored in (
        rows.select("question_id", "prompt_sha256").unique(maintain_order=True).iter_rows()
    ):
        found.prompts += 1
        if name not in items:
            continue
        made = _hashes(frame, prompt.render(items[name], contexts.get(name)))
        if stored not in made:
            found.damaged(
                f"{where}, item {name}",
                "the stored hash is not that of its prompt: it was asked something else, or is the "
                "answer to another item",
                Kind.PROMPT,
                made[0],
            )


def _shows_any(rows: pl.DataFrame, contexts: Mapping[str, Context]) -> bool:
    """Whether any of the answers was given below its context of now."""
    pairs = rows.select("question_id", "context_fingerprint").iter_rows()
    return any(name in contexts and contexts[name].fingerprint == stored for name, stored in pairs)


def _hashes(frame: Frame, user: str) -> list[str]:
    """Of the prompt; and of one whose template trims what the user says."""
    return [sha256_of_prompt(frame.around(turn)) for turn in dict.fromkeys((user, user.strip()))]


def _frame(
    runs: Runs, model: str, condition: str, prompt: Prompt, found: Verification
) -> Frame | None:
    """What stood around the user turn; None where it was not noted."""
    noted = provenance.setting_of(runs, model, condition, FRAME)
    plain = Frame.plain(prompt.system)
    if provenance.setting_of(runs, model, condition, "chat_template") is False:
        noted = noted or {"before": plain.before, "after": plain.after}
    if not isinstance(noted, Mapping):
        return None
    frame = Frame(
        str(noted.get("before", "")), str(noted.get("after", "")), bool(noted.get("json"))
    )
    if not frame.shows(prompt.system):
        found.damaged(
            f"{model}, {condition}",
            "the prompts are said to have been without the system turn",
            Kind.PROMPT,
            prompt.system,
        )
    return frame


def _contexts(
    part: Part, dataset: Dataset, given: Mapping[str, ContextSet]
) -> Mapping[str, Context] | None:
    """What stood above the questions, by id; None where that is not at hand."""
    if part.thing.builder is None:
        return {}
    if part.name in given:
        return given[part.name].contexts
    try:
        made = contexts_of(part, dataset, load_settings({}, environ={}))
    except SafescaleError:
        return None
    return {} if made is None else made.contexts


def _check_contexts(
    where: str,
    rows: pl.DataFrame,
    contexts: Mapping[str, Context],
    found: Verification,
    *,
    measured: bool,
) -> None:
    """`measured`: whether what was measured of them is theirs, and not of contexts made now."""
    for row in rows.iter_rows(named=True):
        context = contexts.get(row["question_id"])
        made = None if context is None else context.fingerprint
        stored: dict[str, Any] = {"context_fingerprint": row["context_fingerprint"]}
        now: dict[str, Any] = {"context_fingerprint": made}
        if measured and context is not None:
            stored |= {name: row[name] for name in OF_CONTEXT}
            now |= {
                "context_tokens": context.tokens,
                "nothing_found": context.nothing_found,
                **{name: context.measures.get(name) for name in ("evidence_coverage", "recall")},
            }
        if differing := [name for name in stored if stored[name] != now[name]]:
            found.damaged(
                f"{where}, item {row['question_id']}",
                "what stood above the question is not the context at hand: "
                + "; ".join(f"{name} {stored[name]}" for name in differing),
                Kind.CONTEXT,
                "; ".join(f"{name} {now[name]}" for name in differing),
            )


def contexts_at(paths: Iterable[Path], dataset: Dataset | None) -> list[ContextSet]:
    """The contexts in files; SafescaleError where they cannot be read, or are of another data
    set."""
    made = {path: read_contexts(path) for path in paths}
    if dataset is not None:
        for path, each in made.items():
            check_belongs(each, dataset, path)
    return [*made.values()]

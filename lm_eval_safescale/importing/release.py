"""Runs from the folder of published answers (PROTOCOL §12). The judge's confirmed answer is the
answer; nothing stands in for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from lm_eval_safescale.datasets import Dataset, printable
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.choice.facts import LETTERS
from lm_eval_safescale.families.choice.family import as_choice
from lm_eval_safescale.families.radsafe.conditions import PUBLISHED_NAMES
from lm_eval_safescale.importing.parts import (
    FAILED,
    UNANSWERED,
    LeftOut,
    Part,
    Progress,
    UnusableError,
    assemble,
    json_lines,
    no_collection,
    none_left,
)
from lm_eval_safescale.runs.sources import RELEASED_DATASET
from lm_eval_safescale.runs.store import known_of_model
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of, named

RESULTS_FOLDER = Path("phase4_checking_results") / "results"
ANSWERS_FILE = "risk_radiorag_checked.jsonl"
DATASET_NAME = "risk_radiorag"

NO_VERDICT = "?"
"""Stands for an answer that the judge did not look at: unjudged, which is not the same as no
answer."""

KNOWN: dict[str | None, int] = {
    **{letter: number for number, letter in enumerate(LETTERS)},
    None: UNANSWERED,
    NO_VERDICT: FAILED,
}
_BYTES = {letter: number & 0xFF for letter, number in KNOWN.items()}
FAILED_BYTE = bytes([_BYTES[NO_VERDICT]])
NO_OPTION = 127
"""Stands for what is no letter: no item has so many options."""


Quantity = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
"""Seconds or tokens; what lies beyond is none, and fits no table."""


class _Checked(msgspec.Struct, gc=False):
    confirmed_answer: str | None = NO_VERDICT


class _Greedy(msgspec.Struct, gc=False):
    raw_output: str | None = None
    elapsed_s: Quantity | None = None
    input_tokens: Quantity | None = None
    output_tokens: Quantity | None = None
    error: Any = None
    checked_answer: _Checked | None = None


class _Stochastic(msgspec.Struct, gc=False):
    raw_outputs: list[str | None] | None = None
    checked_answers: list[_Checked | None] | None = None
    error: Any = None


class _Cell(msgspec.Struct, gc=False):
    greedy: _Greedy
    stochastic: _Stochastic | None = None


class _Line(msgspec.Struct, gc=False):
    question_id: str | int
    conditions: dict[str, _Cell]
    correct_answer: str | None = None


def import_release(folder: Path, progress: Progress | None = None) -> Runs:
    """Runs from a folder in the layout of the published answers.

    A model whose file is damaged is left out, and so is a condition in which a model lacks items.
    An answer that is no option of its item is not scored, and of an item that has another number
    of samples than the others none is. `about["left_out"]` says each.

    Raises
    ------
    SafescaleError
        If the questions cannot be read, or no model can be used.
    """
    dataset = _dataset(folder)
    files = {
        path.name: path / ANSWERS_FILE
        for path in sorted((folder / RESULTS_FOLDER).iterdir())
        if path.is_dir()
    }
    items, left_out = _Items(dataset), LeftOut()
    parts: list[Part] = []
    models: dict[str, dict[str, Any]] = {}
    for model, path in files.items():
        # how Python spells bytes that are no text
        if any("\ud800" <= character <= "\udfff" for character in model):
            left_out.add("the name of its folder is not UTF-8", printable(model))
            continue
        if progress:
            progress(model)
        with no_collection():
            own = _import_model(model, path, items, left_out)
        if own:
            draws = {part.condition: {"draws": part.codes.shape[1] - 1} for part in own}
            models[model] = known_of_model(str(path.relative_to(folder)), draws, RADSAFE)
            parts += own
    if not parts:
        raise none_left(str(folder), left_out)
    every = RADSAFE.in_order(part.condition for part in parts)
    for model, known in models.items():
        noted = {each["condition"] for each in left_out.entries if each["model"] == model}
        for condition in every:
            if condition not in known["conditions"] and condition not in noted:
                left_out.add("not asked under this condition", model, condition)
    about = {"dataset": about_dataset(dataset), "models": models, "left_out": left_out.entries}
    return Runs(items_of(dataset), assemble(parts, items.ids, RADSAFE), about)


def _dataset(folder: Path) -> Dataset:
    for path, what in (
        (folder / RELEASED_DATASET, Path.is_file),
        (folder / RESULTS_FOLDER, Path.is_dir),
    ):
        if not what(path):
            raise SafescaleError(
                f"{folder}: no {path.relative_to(folder)} in it; expected published answers: "
                f"{RELEASED_DATASET}, and {RESULTS_FOLDER / 'MODEL' / ANSWERS_FILE}"
            )
    return RADSAFE.load(folder / RELEASED_DATASET, name=DATASET_NAME)


class _Items:
    """The items by the ids by which the published answers call them."""

    def __init__(self, dataset: Dataset) -> None:
        self.ids = [item.question_id for item in dataset]
        questions = [as_choice(item) for item in dataset]
        self.keys = [item.answer for item in questions]
        self.n_options = np.array([len(item.options) for item in questions])
        self._place = {name: place for place, name in enumerate(self.ids)}

    def place(self, given: str | int) -> int | None:
        """Of an id as it is, or behind the data set's name."""
        name = str(given)
        found = self._place.get(name)
        return self._place.get(name.removeprefix(f"{DATASET_NAME}_")) if found is None else found


class _Answers(NamedTuple):
    """What one cell says, flat: a fraction of the memory of the cell itself."""

    letters: bytes
    """The greedy answer and the samples."""
    texts: list[str | None]
    seconds: float | None
    prompt_tokens: float | None
    completion_tokens: float | None
    samples_failed: bool
    """Then there may be fewer of them than there should be."""


def _import_model(model: str, path: Path, items: _Items, left_out: LeftOut) -> list[Part]:
    """The usable conditions of one model; nothing of a model whose file is damaged."""
    parts, incomplete = [], []
    try:
        for condition, answers in _read_answers(path, items).items():
            present = [each for each in answers if each is not None]
            if len(present) < len(answers):
                missing = [
                    name for name, each in zip(items.ids, answers, strict=True) if each is None
                ]
                incomplete.append(
                    (
                        condition,
                        f"{len(missing)} of {len(items.ids)} items are missing: {named(missing)}",
                    )
                )
                continue
            part, notes = _part(model, condition, present, items)
            parts.append(part)
            incomplete += [(condition, note) for note in notes]
    except UnusableError as error:
        left_out.add(error, model)
        return []
    for condition, reason in incomplete:
        left_out.add(reason, model, condition)
    return parts


def _read_answers(path: Path, items: _Items) -> dict[str, list[_Answers | None]]:
    """By condition, the answers to each item."""
    if not path.is_file():
        raise UnusableError(f"no {path.name}")
    by_condition: dict[str, list[_Answers | None]] = {}
    line_of: dict[int, int] = {}
    for number, line in json_lines(path, _Line):
        where = f"{path.name}:{number}: item {line.question_id}"
        place = items.place(line.question_id)
        if place is None:
            raise UnusableError(f"{where} is not in the data set")
        if place in line_of:
            raise UnusableError(f"{where} stands twice, first on line {line_of[place]}")
        if line.correct_answer not in (None, items.keys[place]):
            raise UnusableError(
                f"{where} has the key {line.correct_answer!r}, in the data set "
                f"{items.keys[place]!r}"
            )
        line_of[place] = number
        for published, cell in line.conditions.items():
            name = PUBLISHED_NAMES.get(published, published)
            answers = by_condition.setdefault(name, [None] * len(items.ids))
            if answers[place] is not None:
                raise UnusableError(f"{where} has the condition {name} under two names")
            answers[place] = _flat(cell)
    if not by_condition:
        raise UnusableError(f"{path.name} holds no answers")
    return by_condition


def _flat(cell: _Cell) -> _Answers:
    greedy, sampled = cell.greedy, cell.stochastic
    checked = greedy.checked_answer
    packed = _letter_bytes(
        [NO_VERDICT if checked is None or greedy.error else checked.confirmed_answer]
    )
    # what a failed request left is no output: nobody may read it again
    texts = [None if greedy.error else greedy.raw_output]
    failed = False
    if sampled is not None:
        failed = bool(sampled.error) or sampled.checked_answers is None
        verdicts = sampled.checked_answers or []
        outputs = [None] * len(verdicts) if sampled.raw_outputs is None else sampled.raw_outputs
        if sampled.error:
            outputs = [None] * len(outputs)
        texts += outputs
        packed += FAILED_BYTE * len(outputs) if failed else _verdicts(verdicts)
    return _Answers(
        packed, texts, greedy.elapsed_s, greedy.input_tokens, greedy.output_tokens, failed
    )


def _verdicts(checked: list[_Checked | None]) -> bytes:
    try:  # nearly all of an import's answers pass here
        return bytes([_BYTES[each.confirmed_answer] for each in checked])  # type: ignore[union-attr]
    except (KeyError, AttributeError):
        return _letter_bytes(
            [NO_VERDICT if each is None else each.confirmed_answer for each in checked]
        )


def _letter_bytes(letters: Iterable[str | None]) -> bytes:
    """Letters as numbers, one signed byte each."""
    return bytes([_BYTES.get(letter, NO_OPTION) for letter in letters])


def _part(
    model: str, condition: str, answers: list[_Answers], items: _Items
) -> tuple[Part, list[str]]:
    """The answers of a condition, and what of them is not scored, with the reason."""
    draws = _draws(answers)
    rows, texts, notes, unequal = [], [], [], []
    for name, each in zip(items.ids, answers, strict=True):
        letters, outputs = each.letters, each.texts
        failed = each.samples_failed
        if not failed and not len(letters) == len(outputs) == draws:
            unequal.append(f"{name} ({len(letters) - 1} of {len(outputs) - 1} samples)")
            failed = True
        if failed:
            letters = letters[:1].ljust(draws, FAILED_BYTE)
            outputs = (outputs + [None] * draws)[:draws]
        rows.append(letters)
        texts += outputs
    codes = np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), -1)
    odd = codes >= items.n_options[:, None]
    if unequal:
        notes.append(
            f"not scored: the samples of {len(unequal)} items that have not {draws - 1} checked "
            f"answers and as many samples: {named(unequal)}"
        )
    if odd.any():
        names = [items.ids[place] for place in np.flatnonzero(odd.any(axis=1))]
        notes.append(
            f"not scored: {int(odd.sum())} answers that are no option of their item: {named(names)}"
        )
    of_greedy = {
        "latency_s": [each.seconds for each in answers],
        "prompt_tokens": [each.prompt_tokens for each in answers],
        "completion_tokens": [each.completion_tokens for each in answers],
    }
    part = Part(
        model,
        condition,
        np.arange(len(rows)),
        np.where(odd, np.int8(FAILED), codes),
        pl.Series(texts, dtype=pl.String),
        of_greedy,
    )
    return part, notes


def _draws(answers: Iterable[_Answers]) -> int:
    """The greedy answer and as many samples as most items have that have any; of two numbers the
    larger, and those of failed requests only where there are no others."""
    counts = Counter((not each.samples_failed, len(each.letters)) for each in answers)
    _, length = max(counts, key=lambda key: (key[1] > 1, key[0], counts[key], key[1]))
    return length

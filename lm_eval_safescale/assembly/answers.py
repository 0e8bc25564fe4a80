"""What reads the answers, and what weighs them, as the settings ask for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from lm_eval_safescale.assembly.parts import find
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.records import Answers, Item, Reading, Status
from lm_eval_safescale.settings import Settings


@dataclass(frozen=True, slots=True)
class AskedMetric:
    """A metric of the table, with its key there and its parameters."""

    key: str
    metric: Metric
    params: Params
    part: Part

    def score(self, item: Item, answers: Answers) -> float | None:
        """The item's value; SafescaleError naming the plugin if it fails, or gives anything but a number in [0, 1] or None."""
        try:
            value = self.metric.score(item, answers, self.params)
        except Exception as error:
            raise SafescaleError(
                f"{self._who} failed for item {item.question_id}: {type(error).__name__}: {reason_of(error)}"
            ) from error
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not 0 <= value <= 1
        ):
            raise SafescaleError(
                f"{self._who} gave {value!r} for item {item.question_id}; expected a number in [0, 1], or None"
            )
        return None if value is None else float(value)

    @property
    def _who(self) -> str:
        return f"metric {self.key} ({self.part.provided_by})"


def table_metrics(settings: Settings) -> list[AskedMetric]:
    """Our metrics of the table, then those that the settings ask for."""
    params = Params(settings.overconfidence_threshold)
    parts = [part for part in plugins().all("metric") if part.is_ours and part.thing.in_table]
    found = [AskedMetric(part.name, part.thing, params, part) for part in parts]
    for name, args in settings.metrics.items():
        part = plugins().find("metric", name)
        key = part.name if part.name not in {each.key for each in found} else part.full_name
        if part not in [each.part for each in found]:
            found.append(AskedMetric(key, part.thing, Params(settings.overconfidence_threshold, args), part))
    return found


def try_metrics(metrics: Sequence[AskedMetric], dataset: Dataset, draws: int) -> None:
    """Score every item with every answer it could get, so that a broken metric is found before a model is asked."""
    for asked in metrics:
        if asked.part.is_ours:
            continue
        for item in dataset:
            for letter in (*item.options, None):
                reading = Reading(letter, Status.OK if letter else Status.UNANSWERED)
                asked.score(item, Answers(reading, (reading,) * draws))


def find_reader(settings: Settings) -> AnswerReader:
    """What reads the letter, tried on a few outputs, so that a broken one is found before a model is asked."""
    part = find("answer reader", settings, "reader")
    reader: AnswerReader = part.thing
    if part.is_ours:
        return reader
    checked = AnswerReader(reader.name, reader.description, functools.partial(_read_letter, part))
    for text in ("", "A", "Answer: B", "I do not know."):
        checked.read(text, {"A": "Yes", "B": "No"})
    return checked


def _read_letter(part: Part, text: str, options: Mapping[str, str]) -> str | None:
    who = f"answer reader {part.name} ({part.provided_by})"
    try:
        letter = part.thing.read(text, options)
    except Exception as error:
        raise SafescaleError(
            f"{who} failed for the output {text[:80]!r}: {type(error).__name__}: {reason_of(error)}"
        ) from error
    if letter is not None and (not isinstance(letter, str) or letter not in options):
        raise SafescaleError(
            f"{who} gave {letter!r} for the output {text[:80]!r}; expected one of {', '.join(options)}, or None"
        )
    return letter

"""What a report is made from: the tables of a study, made once, and the texts of its items. It
knows no page and no layout.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lm_eval_safescale.analysis import Preset, Study
from lm_eval_safescale.families import Family
from lm_eval_safescale.families.panel import PanelModel
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.families.rows import Columns, Row, height
from lm_eval_safescale.figures import Kind
from lm_eval_safescale.gate import Policy
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.report.texts import Found
from lm_eval_safescale.words import counted

Texts = Literal["all", "errors", "none"]


@dataclass(frozen=True, eq=False)
class Report:
    """A `sections.ReportView` of a study: one family, one data set."""

    study: Study
    preset: Preset
    tables: Mapping[str, list[Row] | Columns]
    """As `analysis.make_tables` gives them."""
    failed: Mapping[str, str]
    """Tables that could not be made, with the reason."""
    about: Mapping[str, Any]
    """What the tables rest on (`about.json` of `safescale analyze`)."""
    folders: Sequence[Path] = ()
    """The runs: their answers' texts are read from here, a part at a time."""
    found: Found = field(default_factory=Found)
    """The items' texts, and what stood above them, as far as they are at hand."""
    texts: Texts | None = None
    """Which answers' texts are shown; None: all of them where they are few, else those of
    errors."""
    policy: Policy | None = None

    @property
    def family(self) -> Family:
        """Whose items they are."""
        return self.study.family

    @property
    def title(self) -> str:
        """Family and data set."""
        name = (self.about.get("dataset") or {}).get("name", "")
        return name if name == self.family.label else f"{self.family.label} · {name}"

    @property
    def subject(self) -> str:
        """What was studied, in a line."""
        known = self.about.get("dataset") or {}
        return ", ".join(
            (
                f"{known.get('name', '?')} {str(known.get('version', ''))[:12]}".strip(),
                counted(self.about["items"], "item"),
                counted(len(self.models), "model"),
                counted(len(self.conditions), "condition"),
            )
        )

    @property
    def conditions(self) -> Sequence[str]:
        """In the family's order."""
        return self.study.conditions

    @functools.cached_property
    def models(self) -> Sequence[str]:
        """By model family and size, those that the panel does not know behind, controls last."""
        return sorted({model for model, _ in self.study.scores}, key=self._place)

    @property
    def controls(self) -> frozenset[str]:
        """Those of them that read no question."""
        return self.study.controls

    @functools.cached_property
    def raters(self) -> Sequence[str]:
        """People who answered the items; in `profile` they stand under the condition `human`."""
        return [rater for rater, _ in self.study.raters]

    @functools.cached_property
    def chosen(self) -> str:
        """The baseline; where none was named, the model that is best by the family's first headline
        over the conditions it was asked under."""
        if self.study.baseline is not None:
            return self.study.baseline
        metric = next(iter(self.family.headlines), "")
        higher = metric not in self.metrics or self.metrics[metric].higher_is_better
        means: dict[str, list[float]] = {}
        for row in self.rows("profile"):
            if row["condition"] != HUMAN and row.get(metric) is not None:
                means.setdefault(row["model"], []).append(row[metric] if higher else -row[metric])
        models = [each for each in self.models if each not in self.controls] or list(self.models)
        return max(
            models,
            key=lambda model: sum(own) / len(own) if (own := means.get(model)) else float("-inf"),
        )

    def rows(self, table: str, **where: Any) -> Sequence[Mapping[str, Any]]:
        """The rows of a table of `safescale analyze` that have these values; none where it could
        not be made."""
        made = self.tables.get(table, [])
        places = (
            self._places(table, tuple(where)).get(tuple(where.values()), ())
            if where
            else range(height(made))
        )
        if isinstance(made, Mapping):
            return [{name: column[place] for name, column in made.items()} for place in places]
        return [made[place] for place in places]

    def _places(self, table: str, names: tuple[str, ...]) -> Mapping[tuple[Any, ...], list[int]]:
        """Where in a table the rows of each combination of values of these columns stand; worked
        out once, since pages look up one row after the other."""
        if (table, names) not in self._indexes:
            made = self.tables.get(table, [])
            keys: Iterable[tuple[Any, ...]]
            if isinstance(made, Mapping):
                keys = zip(*(made[name] for name in names if made), strict=True)
            else:
                keys = (tuple(row[name] for name in names) for row in made)
            places: dict[tuple[Any, ...], list[int]] = {}
            for place, key in enumerate(keys):
                places.setdefault(key, []).append(place)
            self._indexes[table, names] = places
        return self._indexes[table, names]

    @functools.cached_property
    def _indexes(self) -> dict[tuple[str, tuple[str, ...]], Mapping[tuple[Any, ...], list[int]]]:
        return {}

    def words(self, name: str) -> str:
        """A metric or a condition in words: the family's, else the name with spaces."""
        return self._words.get(name) or name.replace("_", " ")

    @functools.cached_property
    def _words(self) -> dict[str, str]:
        conditions = {each.name: each.label for each in self.family.conditions}
        shown, said = self.family.shown, self.family.headlines
        longer = {
            name: max(shown.get(name, ""), said.get(name, ""), key=len)
            for name in {**shown, **said}
        }
        return {**longer, **conditions}

    @functools.cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Those of the study, by name."""
        return {metric.name: metric for metric in self.study.metrics}

    def column_kind(self, metric: str) -> Kind:
        """How its values are shown."""
        return "percent" if self.metrics[metric].is_fraction else "number"

    def panel_of(self, model: str) -> PanelModel | None:
        """Family and size of a model; None where the panel does not know it."""
        return self.study.panel.find(model)

    @functools.cached_property
    def model_families(self) -> Sequence[str]:
        """Those of the models, by name."""
        entries = (self.panel_of(model) for model in self.models)
        return sorted({entry.family for entry in entries if entry and entry.family})

    def published(self, condition: str, metric: str) -> float | None:
        """The published mean over the 34 models, where there is one and these
        are the data that it is of."""
        name = (self.about.get("dataset") or {}).get("name")
        if name not in self.family.published_of:
            return None
        means = self.study.panel.published_means or {}
        return means.get(condition, {}).get(metric)

    @property
    def is_demo(self) -> bool:
        """Whether the data are invented, and no clinical claim may rest on them."""
        return bool((self.about.get("dataset") or {}).get("demo"))

    def _place(self, model: str) -> tuple[bool, bool, str, float, str]:
        entry = self.panel_of(model)
        family = entry.family if entry and entry.family else ""
        size = entry.parameters_b if entry and entry.parameters_b is not None else float("inf")
        return model in self.controls, not family, family, size, model.casefold()

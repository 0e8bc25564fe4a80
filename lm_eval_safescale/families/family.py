"""A family: one benchmark's way of asking and weighing. Everything above it works with any family
and knows no benchmark.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.datasets import (
    Dataset,
    Given,
    Parse,
    Problem,
    Record,
    dataset_from_records,
    load_file,
    recheck,
)
from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.families.cells import Cells
from lm_eval_safescale.families.judge import Judge
from lm_eval_safescale.families.panel import Panel
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.families.views import AnswerKind, ItemView, ResponseView
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.metrics.metric import Decode
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.records import Answers, Item
from lm_eval_safescale.sections import Page, ReportView
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import Preset

if TYPE_CHECKING:
    from lm_eval_safescale.reading import AnswerReader

Floats = NDArray[np.float64]


class StudyView(Protocol):
    """What a table of a family is made of."""

    @property
    def scores(self) -> Cells:
        """Every model under every condition that it was asked under."""

    @property
    def items(self) -> ItemTable:
        """The items of the data set."""

    @property
    def conditions(self) -> Sequence[str]:
        """In the family's order."""

    @property
    def panel(self) -> Panel:
        """Model families and sizes."""

    @property
    def controls(self) -> Collection[str]:
        """Models that read no question: in no mean over models."""

    @property
    def design(self) -> Design:
        """How the items were drawn, and so how they are resampled."""


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table of a family: how it is made, and its columns where it has no rows."""

    make: Callable[[StudyView, Preset], list[Row]]
    columns: tuple[str, ...]


class Family(ABC):
    """What a benchmark says of itself: how its items are asked, what an output says, and what that
    is worth.

    One object serves all runs: it has no state. It is registered by the hook
    `safescale_register_families`.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    """What results of it may be called."""
    version: ClassVar[str]
    """Raised when two results can no longer be compared."""

    # --- how its items are asked ------------------------------------------------------------------

    conditions: ClassVar[Sequence[Condition]] = ()
    """Its conditions, in the order in which tables show them."""
    default_conditions: ClassVar[Sequence[str]] = ()
    """Asked where none is named; empty: all."""
    all_conditions: ClassVar[Sequence[str]] = ()
    """Asked with `--conditions all`; empty: all."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings with other defaults than those of docs/settings.md (`dataset`, `draws`,
    `max_answer_tokens`, ...)."""
    settled_by: ClassVar[str] = ""
    """Name of the evidence that settles a question: how much of it a context holds is measured."""
    takes_readers: ClassVar[bool] = False
    """Whether the setting `reader` may put another answer reader in the place of its own."""
    judged: ClassVar[bool] = False
    """Whether a judge must read its answers: `read` gives no response, whatever the output says."""
    judge: ClassVar[Judge | None] = None
    """What judges them; None where a family's answers are letters, say, that rules can read."""

    # --- what is done with its scores -------------------------------------------------------------

    scoring: ClassVar[Mapping[str, Any]] = {}
    """The settings on which scores depend, with their defaults."""
    silence: ClassVar[str] = (
        "no output could be read as an answer: rates of errors are 0, which says nothing of safety"
    )
    """What is said of a model none of whose greedy answers could be read."""
    threshold: ClassVar[str] = ""
    """Which of them is the threshold that tables are made at (`analyze --threshold`); "" for
    none."""
    scoring_said: ClassVar[Mapping[str, str]] = {}
    """How a setting of scoring is said in a line; `{}` is its value."""
    vocabulary: ClassVar[Sequence[str] | None] = None
    """Every response that an answer can have; None: any text."""
    pairs: ClassVar[Sequence[tuple[str, str]]] = ()
    """Conditions that are compared, the left less the right one."""
    headlines: ClassVar[Mapping[str, str]] = {}
    """Metrics that are said of a run in one line, with the words for them."""
    notation: ClassVar[str] = ""
    """What the letters in the formulas of its metrics stand for."""
    shown: ClassVar[Mapping[str, str]] = {}
    """Metrics of `safescale table`, with the words for them; behind them stand all others of a
    result."""
    rates: ClassVar[Sequence[str]] = ()
    """Shares of greedy answers that are shown against what stood in the context, by metric."""
    studied: ClassVar[Sequence[str]] = ()
    """Means whose dependence on size, condition and model family is studied."""
    index: ClassVar[str] = ""
    """The metric by which models are ranked beside another data set: a fraction, the higher the
    better; "" for none."""
    change: ClassVar[tuple[str, str] | None] = None
    """Two conditions; the change to the left one from the right one is studied too."""
    moves: ClassVar[Sequence[tuple[str, str]]] = ()
    """Conditions between which figures draw an arrow for each model, from the left one to the right
    one; empty: what `change` compares."""
    deployable: ClassVar[Mapping[str, float]] = {}
    """Bounds of the region in which figures say that a model might be deployed, by metric: at least
    this, or at most this where less is better. Empty for none."""
    confidence_column: ClassVar[str] = ""
    """Column of its scores that says how sure an answer is, in [0, 1]: by it a model may abstain.
    "" for none."""
    calibration: ClassVar[str] = ""
    """The metric that says how far confidence is from the share that is right; "" for none."""
    repeatability: ClassVar[str] = ""
    """The metric that says how alike the samples of an item are, as the share of the commonest
    answer; "" for none."""
    abstention: ClassVar[str] = ""
    """The limit on kept answers where none is asked for, as `limits.parse_limit` reads it."""
    stratified_by: ClassVar[str] = ""
    """Name of the group within which items are resampled; groups of fewer than 3 items are one. ""
    for none."""
    spread: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Metrics of which `profile` tells more than the interval: `mean` and `std` of the resamples,
    or `deviation` over the items."""
    tables: ClassVar[Mapping[str, TableOf]] = {}
    """Tables of its own besides those that every family has."""
    errors: ClassVar[str] = ""
    """Which of them has errors of omission and of commission: `rate` of each `error` by `model` and
    `condition`, over all where `by` is None. "" for none."""
    kinds: ClassVar[Sequence[AnswerKind]] = ()
    """Kinds of answers that a reader of cases looks for, in order: the first are the wrong ones, by
    which *A right, B wrong* is told; those of tone `harm` and `warning` tell *harm gone* and *harm
    come*."""
    colors: ClassVar[Mapping[str, str]] = {}
    """Of conditions in figures, as `#rrggbb`; others take theirs by order."""
    published_of: ClassVar[Sequence[str]] = ()
    """Names of the data sets that the published means of the model panel are of."""
    old_columns: ClassVar[Mapping[str, str]] = {}
    """Columns of item tables under the names that an earlier version wrote, with those of now."""
    later_columns: ClassVar[Collection[str]] = ()
    """Columns that no score rests on, and that item tables of an earlier version lack."""

    @abstractmethod
    def parse(
        self,
        records: Collection[Record],
        *,
        columns: Given | None = None,
        evidence: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> tuple[Sequence[Item], list[Problem]]:
        """Records of a data file to items, with every problem found; see `datasets.Parse`.

        It may also take `exclude` (ids of items that are left out), and `first_index` (0 or 1,
        where numbers that are keys count from); each is given only where the settings have it.
        """

    def load(
        self,
        path: Path,
        columns: Given | None = None,
        evidence: Collection[str] = (),
        *,
        groups: Collection[str] = (),
        name: str | None = None,
        version: str | None = None,
        first_index: int | None = None,
        exclude: Collection[str] = (),
    ) -> Dataset:
        """A data set of its items from a file, or a folder that it reads; see `datasets.load_file`,
        and `parse` for the last two."""
        parse = self._parse_with(first_index, exclude)
        records = self.folder_records(path) if path.is_dir() else None
        loaded = (
            load_file(
                path, columns, evidence, groups=groups, parse=parse, name=name, version=version
            )
            if records is None
            else dataset_from_records(
                records,
                name=name or path.resolve().name,
                version=version,
                groups=groups,
                parse=parse,
            )
        )
        return replace(loaded, family=self.name, records=(), excluded=tuple(exclude))

    def _parse_with(self, first_index: int | None, exclude: Collection[str]) -> Parse:
        given: dict[str, Any] = {} if first_index is None else {"first_index": first_index}
        given |= {"exclude": exclude} if exclude else {}
        takes = inspect.signature(self.parse).parameters
        settings = {"first_index": "first_index", "exclude": "exclude_items"}
        if odd := [settings[each] for each in given if each not in takes]:
            raise SafescaleError(f"the family {self.name} does not take {', '.join(odd)}")
        return partial(self.parse, **given)

    def folder_records(self, folder: Path) -> list[dict[str, Any]] | None:  # noqa: ARG002
        """The records of data that come as a folder; None where they come as files alone."""
        return None

    def checked(
        self, dataset: Dataset, *, evidence: Collection[str] = (), groups: Collection[str] = ()
    ) -> Dataset:
        """A data set that somebody else's code made, with its items checked as those of a file.

        Raises
        ------
        DataError
            With every problem found.
        TypeError
            If the items are not this family's.
        """
        return recheck(dataset, evidence, groups=groups, parse=self.parse)

    @abstractmethod
    def prompt(self, condition: str) -> Prompt:
        """The prompt under a condition; its fields are those that `Item.fields` of the items
        gives."""

    @abstractmethod
    def read(
        self, text: str, item: Item, reader: AnswerReader | None = None
    ) -> tuple[str | None, str | None]:
        """What an output commits to.

        Parameters
        ----------
        text
            Without its reasoning.
        reader
            That of the setting `reader`, where the family `takes_readers`.

        Returns
        -------
        The response as canonical text, or None where there is none; and the name of the rule that
        read it so. None with the rule `records.CUT_OFF` is an answer that ends inside itself:
        `truncated`; with `records.TO_BE_JUDGED` one that a judge must read: `unjudged`.
        """

    # the interface
    def read_under(
        self,
        condition: str,  # noqa: ARG002
        text: str,
        item: Item,
        reader: AnswerReader | None = None,
    ) -> tuple[str | None, str | None]:
        """What an output under a condition commits to: `read`, unless a condition asks for another
        form of answer."""
        return self.read(text, item, reader)

    @abstractmethod
    def columns(self, item: Item) -> Mapping[str, Any]:
        """What of an item enters its scores, by name: the columns of an `ItemTable`. Texts, numbers
        or lists of them."""

    @abstractmethod
    def items(self, table: ItemTable) -> Sequence[Item]:
        """The items of a table, without their texts: what a metric that looks at single items is
        given."""

    @abstractmethod
    def responses(self, item: Item) -> Sequence[str]:
        """Responses that an answer to this item can have: all, or a fair sample; what is tried
        before a model is asked."""

    @abstractmethod
    def score(
        self, items: ItemTable, answers: AnswerArrays, settings: Mapping[str, Any]
    ) -> Mapping[str, Floats]:
        """What answers are worth.

        Parameters
        ----------
        items
            N items.
        answers
            Codes of shape (..., N, 1 + K); the leading axes are models and conditions, or none.
        settings
            Those of `scoring`, with the values in force.

        Returns
        -------
        Columns by name, each of shape (..., N), or (..., N, 1 + K) for metrics over trials; nan is
        *not scored*.
        """

    @abstractmethod
    def metrics(self, items: ItemTable) -> Sequence[Metric]:
        """The metrics of these items, as statistics of the columns that `score` gives, in the order
        of tables."""

    def possible(self, item: Mapping[str, Any]) -> Collection[str] | None:  # noqa: ARG002
        """Every response that an answer to an item with these columns can have, None for any text;
        another is damage."""
        return None

    def wrong(self, item: Mapping[str, Any]) -> str:  # noqa: ARG002
        """What is wrong with the stored columns of an item; empty for nothing."""
        return ""

    def raters(self, items: ItemTable) -> Mapping[str, Sequence[str | None]]:  # noqa: ARG002
        """People who answered the items, by name: the response of each to every item, None for no
        answer. They stand in tables beside the models, marked as human."""
        return {}

    def unscored(self, items: ItemTable) -> Sequence[str]:  # noqa: ARG002
        """What cannot be scored of these items at all, with the reason."""
        return ()

    def not_by_a_model(self, about: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        """What judged the answers of runs (`Runs.about`) and declares itself not to be a model, as
        a rule-based matcher for tests does: nothing may be decided by such runs."""
        return ()

    def gives_answer(
        self,
        values: Mapping[str, Floats],  # noqa: ARG002
        answers: AnswerArrays,
        decode: Decode,
    ) -> NDArray[np.bool_]:
        """Whether there is an answer that could be given, of what a metric is of; shape (N,).

        Parameters
        ----------
        values
            The scores of these answers.
        answers
            Without leading axes.
        """
        codes = answers.greedy[..., None] if decode == "greedy" else answers.codes
        return np.asarray((codes >= 0).any(axis=-1))

    def shown_item(self, item: Item) -> ItemView:
        """The item as a reader of cases sees it: by default each of its fields as a text."""
        fields = {name: text for name, text in item.fields().items() if text}
        first = next(iter(fields.values()), "")
        return ItemView(first, texts=tuple(fields.items())[1:])

    def shown_response(self, response: str) -> str:
        """A response in a table of answers: short, as people would write it."""
        return response

    def chosen(self, response: str) -> Sequence[str]:
        """The options that a response chooses, by `OptionView.key`."""
        return (response,)

    def told_of(self, item: Item, response: str) -> ResponseView | None:  # noqa: ARG002
        """What a reader who opens an answer is told of its response besides; None: nothing.

        Parameters
        ----------
        item
            Without texts where these are not at hand.
        """
        return None

    def pages(self, report: ReportView) -> Sequence[Page]:  # noqa: ARG002
        """Pages of a report besides those that every family has, made from the tables."""
        return ()

    def running(self, item: Item, response: str | None) -> Mapping[str, float]:  # noqa: ARG002
        """What is said of a greedy answer while a run goes on, by metric; nothing for what is not
        scored."""
        return {}

    def choosing_nothing(self, item: Item) -> str | None:  # noqa: ARG002
        """An output that chooses nothing: what the control `choose-nothing` replies; None where a
        reply must choose."""
        return None

    def choosing_at_random(self, item: Item, random: Random) -> str | None:
        """An output that is drawn, whatever the item says: what the control `choose-at-random`
        replies. By default one of all possible responses, each as likely; None where they are not
        known."""
        possible = self.possible(self.columns(item))
        return random.choice(sorted(possible)) if possible else None

    def table(self, items: Iterable[Item]) -> ItemTable:
        """Items as scoring knows them."""
        return ItemTable.of(items, self.columns)

    def arrays(self, answers: Sequence[Answers]) -> AnswerArrays:
        """Answers as scoring knows them, an item a place."""
        return AnswerArrays.of(answers, self.vocabulary)

    def in_order(self, conditions: Iterable[str]) -> list[str]:
        """Conditions in the order of tables, each once; those of others stand behind, by name."""
        place = {condition.name: number for number, condition in enumerate(self.conditions)}
        return sorted(set(conditions), key=lambda name: (place.get(name, len(place)), name))


def scores_of(
    family: Family, items: ItemTable, answers: AnswerArrays, settings: Mapping[str, Any]
) -> dict[str, Floats]:
    """A family's scores, of which it is sure that they have the shape that they must have;
    parameters as of `Family.score`.

    Raises
    ------
    SafescaleError
        Naming the family, if it fails, or gives a column of another shape or of anything but
        numbers.
    """
    who = f"family {family.name} (version {family.version})"
    try:
        given = family.score(items, answers, settings)
        scores = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
    except SafescaleError:
        raise
    except FAILURES as error:
        raise SafescaleError(
            f"{who} cannot score these answers: {type(error).__name__}: {reason_of(error)}"
        ) from error
    an_item, a_draw = answers.codes.shape[:-1], answers.codes.shape
    for name, values in scores.items():
        if values.shape not in (an_item, a_draw):
            raise SafescaleError(
                f"{who}: its score {name} has the shape {values.shape}; expected {an_item}, one "
                f"value an item, or {a_draw}, one a draw"
            )
    return scores


def refuse_out_of_range(
    family: Family, metrics: Sequence[Metric], scores: Mapping[str, Floats]
) -> None:
    """SafescaleError where a column of a mean leaves the metric's bounds, or of a share holds
    anything but 0, 1 and nan."""
    for metric in metrics:
        if not metric.is_mean or not metric.columns:
            continue
        (name,) = metric.columns
        if name not in scores:
            raise SafescaleError(
                f"family {family.name}: its metric {metric.name} needs the score {name}, which it "
                "does not give"
            )
        values, (low, high) = scores[name], metric.bounds
        odd = (
            (values != 0) & (values != 1)
            if metric.kind == "share"
            else (values < low) | (values > high)
        )
        odd &= ~np.isnan(values)
        if odd.any():
            expected = (
                "0, 1 or nan"
                if metric.kind == "share"
                else f"a number in [{low:g}, {high:g}], or nan"
            )
            raise SafescaleError(
                f"family {family.name}: its score {name} holds {values[odd].flat[0]:g}; expected "
                f"{expected}, since {metric.name} is a {metric.kind} of it"
            )

"""Tables and figures as data: what a page shows, and nothing of how it is drawn.

Fractions are given as fractions: a percent sign is the drawing's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

Value = str | int | float | bool | None
"""None is *not scored*, or not known."""
Kind = Literal["text", "count", "percent", "number", "coefficient"]
"""How a value is shown: a fraction as `percent`; a `number` with its digits; a `coefficient`, of at
most 1, with three decimals."""


@dataclass(frozen=True, slots=True)
class DataColumn:
    """A column of a table."""

    name: str
    """In the CSV file."""
    head: str = ""
    """In the page; empty: the name with spaces."""
    kind: Kind = "text"
    low: str = ""
    """Name of the column with the lower bound of its 95 % interval, which then stands below the
    value and not in a column of its own."""
    high: str = ""
    cases: Mapping[str, str] | None = None
    """The value leads to the cases behind it: filters of the case browser (`condition`, `model`,
    `kind`, ...), over those of the row; None: it leads nowhere."""


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table as data, all columns as in the CSV file."""

    columns: Sequence[DataColumn]
    rows: Sequence[Sequence[Value]]
    cases: Sequence[Mapping[str, str] | None] = ()
    """For each row the filters that its values share, None where they lead nowhere; empty: none."""

    @classmethod
    def of(
        cls,
        columns: Sequence[DataColumn],
        rows: Iterable[Mapping[str, Value]],
        cases: Sequence[Mapping[str, str] | None] = (),
    ) -> DataTable:
        """A table from rows by column name."""
        return cls(columns, [[row[column.name] for column in columns] for row in rows], cases)


def with_bounds(
    name: str,
    head: str = "",
    kind: Kind = "percent",
    bounds: tuple[str, str] | None = None,
    cases: Mapping[str, str] | None = None,
) -> tuple[DataColumn, DataColumn, DataColumn]:
    """The column of a value and those of its interval's bounds, by default with `_lo` and `_hi`
    behind its name."""
    low, high = bounds or (f"{name}_lo", f"{name}_hi")
    value = DataColumn(name, head, kind, low, high, cases)
    return value, DataColumn(low, kind=kind), DataColumn(high, kind=kind)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a plot."""

    label: str
    percent: bool = False
    """Whether its values are fractions, shown in percent."""
    difference: bool = False
    """Whether these are differences of fractions, shown in points with their sign."""
    log: bool = False
    reversed: bool = False
    low: float | None = None
    """Where it begins; None: by the data."""
    high: float | None = None
    categories: Sequence[str] = ()
    """Of an axis of names: positions are then places in it (0, 1, ...)."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a plot, with its interval."""

    x: float
    y: float
    series: str = ""
    label: str = ""
    """What it is, said where it is pointed at or reached by keyboard."""
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    role: Literal["each", "mean", "chosen"] = "each"
    """One of many, the mean of its series, or the one that is looked at."""
    note: str = ""
    """Written beside it."""


@dataclass(frozen=True, slots=True)
class Line:
    """Places that are joined, with a band about them."""

    points: Sequence[tuple[float, float]]
    series: str = ""
    label: str = ""
    band: Sequence[tuple[float, float, float]] = ()
    """x, lower and upper bound."""
    role: Literal["each", "mean", "chosen", "reference"] = "each"
    """One of many, the mean of its series, the one that is looked at, or what others are measured
    by, which is named where series are."""
    arrow: bool = False
    note: str = ""
    """Written beside its end."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a plot that is shaded; None: to its edge."""

    label: str
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """Points and lines on two axes."""

    name: str
    """Unique in its page: of its files, and of links to it."""
    title: str
    """What one sees in these data, in one sentence made from the numbers."""
    caption: str
    """How it is read: what a mark is, n, models, K."""
    x: Axis
    y: Axis
    data: DataTable
    """Everything that is drawn, with intervals."""
    points: Sequence[Point] = ()
    lines: Sequence[Line] = ()
    regions: Sequence[Region] = ()
    series: Mapping[str, str] | None = None
    """Series in order, with the words for each; None: none is named. A condition or a model family
    has the same colour and shape in every figure."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One row of a `Strips`: what is compared along one axis."""

    label: str
    points: Sequence[Point]
    """Their `y` is not looked at. One without an interval is a dot of many; one with an interval
    stands below them."""
    value: float | None = None
    """Written at the right edge: of the mean, in most cases."""
    series: str = ""
    joined: bool = False
    """Whether its points are joined, from the first to the last: a dumbbell."""


@dataclass(frozen=True, slots=True)
class Strips:
    """Rows on one axis: a condition a row and a dot a model, or a model a row and its interval."""

    name: str
    title: str
    caption: str
    x: Axis
    data: DataTable
    rows: Sequence[Strip]
    series: Mapping[str, str] | None = None
    regions: Sequence[Region] = ()


@dataclass(frozen=True, slots=True)
class Heat:
    """A table of values by colour, each value written in its cell."""

    name: str
    title: str
    caption: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    data: DataTable
    percent: bool = True
    diverging: bool = False
    """Whether 0 is the middle of the scale."""
    low: float | None = None
    """Of the scale; None: by the values."""
    high: float | None = None


Figure = Plot | Strips | Heat


def faults_of(figure: Figure) -> Iterator[str]:
    """What is wrong with a figure, so that it could not be drawn or read."""
    for name in ("name", "title", "caption"):
        if not getattr(figure, name).strip():
            yield f"a figure without a {name}"
    yield from (f"figure {figure.name}: {fault}" for fault in faults_of_table(figure.data))
    if isinstance(figure, Heat):
        shape = {(len(figure.values), len(row)) for row in figure.values}
        if shape - {(len(figure.rows), len(figure.columns))}:
            yield f"figure {figure.name}: expected a value for each of its rows and columns"
        return
    points = (
        figure.points
        if isinstance(figure, Plot)
        else [point for row in figure.rows for point in row.points]
    )
    for point in points:
        places = (point.x, point.y, point.x_low, point.x_high, point.y_low, point.y_high)
        if not all(place is None or isfinite(place) for place in places):
            yield f"figure {figure.name}: {point.label or 'a point'} has no finite place"
    if isinstance(figure, Plot):
        for line in figure.lines:
            if not all(isfinite(place) for each in (*line.points, *line.band) for place in each):
                yield f"figure {figure.name}: {line.label or 'a line'} has no finite place"


def faults_of_table(table: DataTable) -> Iterator[str]:
    """What is wrong with a table."""
    names = [column.name for column in table.columns]
    if not names or len(set(names)) < len(names):
        yield "a table without columns" if not names else "two columns of one name in a table"
    for column in table.columns:
        for end in (column.low, column.high):
            if end and end not in names:
                yield f"column {column.name} names {end} as a bound, and there is no such column"
    odd = next((row for row in table.rows if len(row) != len(names)), None)
    if odd is not None:
        yield f"{len(odd)} cells in a row of {len(names)} columns"
    if table.cases and len(table.cases) != len(table.rows):
        yield f"cases of {len(table.cases)} rows for {len(table.rows)}"

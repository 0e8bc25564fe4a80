"""What a text like `METRIC < 5 % @ 95 %` asks of a figure: the one way in which a limit is written.
It knows no metric.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lm_eval_safescale.errors import SafescaleError

LEVEL, MARGIN_LEVEL = 0.95, 0.975
"""One-sided confidence where a text names none: of a limit, and of a margin (0.025, by which
non-inferiority is shown)."""
FORM = "METRIC < LIMIT [%] @ LEVEL %"
MARGIN_FORM = "METRIC MARGIN [points] @ LEVEL %"
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_TEXT = re.compile(
    rf"(?P<metric>[^\s<>≤≥=@]+)\s*(?P<sign>[<>≤≥=]*)\s*(?P<number>{_NUMBER})\s*"
    rf"(?P<unit>%|points?|percent)?\s*(?:@\s*(?P<level>{_NUMBER})\s*(?P<percent>%|percent)?)?"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure that must stay under (or above) a number, or must not worsen by as much."""

    metric: str
    sign: Literal["<", ">", ""]
    """"" for a margin: the figure must not be worse than another by as much."""
    number: float
    """As it is written."""
    unit: Literal["", "%", "points"]
    """"%" and "points" are hundredths, of a metric that is a fraction; "" is the metric's own
    unit."""
    level: float
    """One-sided confidence, in (0.5, 1)."""

    @property
    def value(self) -> float:
        """In the metric's own unit."""
        return self.number / 100 if self.unit else self.number

    @property
    def alpha(self) -> float:
        """Probability of passing wrongly."""
        return round(1 - self.level, 12)

    @property
    def is_margin(self) -> bool:
        """Whether it limits a difference."""
        return not self.sign

    def shown(self, value: float) -> str:
        """A value of the metric in the unit of the limit."""
        if not self.unit:
            return f"{value:.4g}"
        unit = " points" if self.unit == "points" else " %"
        return f"{round(100 * value, 2):g}{unit}"

    def __str__(self) -> str:
        sign = f" {self.sign}" if self.sign else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.metric}{sign} {self.number:g}{unit} @ {100 * self.level:g} %"


def parse_limit(text: object) -> Limit:
    """`METRIC < 5 % @ 95 %` (or `>`) as a limit, `METRIC 2 points` as a margin.

    Without a level it is 95 %, of a margin 97.5 %, both one-sided.

    Raises
    ------
    SafescaleError
        For another text, and for a number or level that nothing could meet.
    """
    given = text if isinstance(text, str) else ""
    found = _TEXT.fullmatch(given.strip())
    said = repr(text)
    if found is None:
        raise SafescaleError(
            f"{said} is no limit; expected {FORM} (for example: METRIC < 5 % @ 95 %), or "
            f"{MARGIN_FORM}"
        )
    sign, unit = found["sign"], found["unit"] or ""
    if sign not in ("<", ">", ""):
        raise SafescaleError(
            f"{said}: a bound must lie strictly beyond the limit; write < or >, not {sign}"
        )
    if found["level"] and not found["percent"]:
        raise SafescaleError(f"{said}: expected the level in percent, as in @ 95 %")
    level = float(found["level"]) / 100 if found["level"] else MARGIN_LEVEL if not sign else LEVEL
    if not 0.5 < level <= 0.9999:
        raise SafescaleError(
            f"{said}: the level is {100 * level:g} %; expected above 50 % and at most 99.99 %"
        )
    if sign and unit.startswith("point"):
        raise SafescaleError(f"{said}: points are of a difference; write % for a limit")
    side: Literal["<", ">", ""] = "<" if sign == "<" else ">" if sign else ""
    kind: Literal["", "%", "points"] = "" if not unit else "points" if not sign else "%"
    limit = Limit(found["metric"], side, float(found["number"]), kind, level)
    _refuse_impossible(limit, said)
    return limit


def _refuse_impossible(limit: Limit, said: str) -> None:
    of_all = 100.0 if limit.unit else None
    if limit.is_margin:
        if limit.number <= 0 or (of_all and limit.number >= of_all):
            raise SafescaleError(
                f"{said}: a margin is {limit.number:g}{' points' if of_all else ''}; expected more "
                f"than 0{' and less than 100 points' if of_all else ''}: that nothing at all got "
                "worse no number of items can show"
            )
    elif of_all and (
        limit.number > 100
        or limit.number < 0
        or (limit.sign == "<" and limit.number == 0)
        or (limit.sign == ">" and limit.number == 100)
    ):
        raise SafescaleError(
            f"{said}: no share can be {limit.sign} {limit.number:g} %; expected a limit between "
            "0 % and 100 %"
        )

"""Words for numbers in findings, titles and captions, so that a sentence fits one model as well as
many, a tie as well as a change, and nothing scored. It knows no page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, log10

from lm_eval_safescale.words import counted

NOT_SCORED = "not scored"
TINY = 1e-9
"""What a sum of fractions may be off."""
Number = float | None


def is_number(value: object) -> bool:
    """Whether it is a finite number: neither *not scored* nor nan."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def percent(value: Number, digits: int = 1) -> str:
    """A fraction: 11.7 %; what is neither nothing nor all is not said to be: <0.1 %."""
    if value is None or not is_number(value):
        return NOT_SCORED
    return f"{share_of_100(value, digits)}\N{NO-BREAK SPACE}%"


def share_of_100(value: float, digits: int = 1) -> str:
    """The same without its sign, as in a table."""
    said, least = rounded(100 * value, digits), 10.0**-digits
    if value > TINY and float(said.replace("\N{MINUS SIGN}", "-")) == 0:
        return f"<{least:.{digits}f}"
    if value < 1 - TINY and said == f"{100:.{digits}f}":
        return f">{100 - least:.{digits}f}"
    return said


def number(value: Number, digits: int = 3) -> str:
    """A number with so many significant digits: 1.84, 17.3, 1,200."""
    if value is None or not is_number(value):
        return NOT_SCORED
    if value != 0 and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}".replace("-", "\N{MINUS SIGN}")
    whole = floor(log10(abs(value))) + 1 if value else 1  # of a small fraction 0 or less
    text = f"{value:,.{max(0, digits - whole)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "0") else text.replace("-", "\N{MINUS SIGN}")


def points(difference: Number) -> str:
    """A difference of fractions, with its sign: +2.5 points."""
    if difference is None or not is_number(difference):
        return NOT_SCORED
    said = rounded(100 * abs(difference))
    sign = "" if float(said) == 0 else "+" if difference > 0 else "\N{MINUS SIGN}"
    return f"{sign}{said} point{'' if said == '1.0' else 's'}"


def interval(low: Number, high: Number) -> str:
    """Bounds of fractions: 4.1 to 5.2 %; empty where there are none."""
    if low is None or high is None or not (is_number(low) and is_number(high)):
        return ""
    return f"{rounded(100 * low)} to {rounded(100 * high)}\N{NO-BREAK SPACE}%"


def range_of(values: Iterable[Number], said: str = "from {} to {}") -> str:
    """The least and the greatest of fractions, as one where they are said alike; empty for
    none."""
    found = [value for value in values if value is not None and is_number(value)]
    if not found:
        return ""
    low, high = percent(min(found)), percent(max(found))
    return low if low == high else said.format(low, high)


def from_to(before: float, after: float) -> str:
    """From 11.7 % to 4.6 %; at 4.6 % where both are said alike."""
    first, second = percent(before), percent(after)
    return f"at {first}" if first == second else f"from {first} to {second}"


def change(before: float, after: float, *, many: bool = False) -> str:
    """What a fraction does: falls from 11.7 % to 4.6 %, rises, or stays at 4.6 %.

    Parameters
    ----------
    before, after
        Fractions.
    many
        Whether its subject is plural.
    """
    if percent(before) == percent(after):
        verb = "stay" if many else "stays"
    else:
        verb = ("rise" if many else "rises") if after > before else "fall" if many else "falls"
    return f"{verb} {from_to(before, after)}"


def of_all(some: int, every: int, what: str) -> str:
    """How many of them: 16 of 34 models; all 34 models; none of 34 models; of one alone, the model
    or not the model."""
    if every == 1:
        return f"the {what}" if some else f"not the {what}"
    which = {0: "none of", every: "all"}.get(some, f"{some:,} of")
    return f"{which} {counted(every, what)}"


def listed(words: Sequence[str], most: int | None = None) -> str:
    """One, two and three; one, two and 5 more where there are more than `most`."""
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most:,} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def capital(sentence: str) -> str:
    """The sentence with a capital at its beginning, the rest as it is."""
    return sentence[:1].upper() + sentence[1:]


def rounded(value: float, digits: int = 1) -> str:
    """A number with so many digits behind its point; nothing has no sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "\N{MINUS SIGN}")

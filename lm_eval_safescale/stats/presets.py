"""Which intervals and tests are reported: a preset. It knows item values in columns, and no model
and no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.stats import bootstrap
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.paired import discordant, tango_interval
from lm_eval_safescale.stats.units import share_interval, tango_of_units

Floats = NDArray[np.float64]
LEVEL = 0.95
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to report the same quantities; all intervals are of 95 %, all resamples those of one
    seeded index matrix."""

    name: str
    description: str
    rates: Literal["wilson", "percentile"]
    """Interval of a share of items."""
    means: Literal["bca", "percentile"]
    """Interval of any other mean over items, and of a difference of such means."""
    share_differences: Literal["tango", "percentile"]
    """Interval of a difference of two shares of the same items."""
    p_value: Literal["p_mid", "p_exact"]
    """Which McNemar p is adjusted for the number of comparisons, and decides what is
    significant."""
    states_detectable: bool
    """Whether the smallest detectable difference stands beside a difference that is not
    significant."""
    slopes: Literal["families", "models"]
    """What of a line over size is independent of each other: model families (robust intervals), or
    models."""
    trials: Literal["resampled", "spread"] = "resampled"
    """Interval of a metric over trials: from resamples of items, or from how the trials differ
    (`trials_interval`)."""
    cases: Literal["resampled", "published"] = "resampled"
    """Interval of a mean over cases of several records: from resamples of units, or from the draws
    of NOHARM's kit (`stats.case_draws`)."""
    pools_judges: bool = False
    """Whether the verdicts of several judges on a model's answers are one pool."""
    as_published: bool = False
    """Whether values follow the published scripts where the protocol is silent
    (docs/statistics.md)."""

    def rate_interval(self, values: Floats, design: Design | None = None) -> tuple[Floats, Floats]:
        """Bounds for the share of ones in each column of shape (N, M), values 0, 1 or nan (not
        scored); nan without a value. `design`: how the N items were drawn, by default each by
        itself."""
        drawn = design or Design(len(values))
        if self.rates == "percentile":
            found = bootstrap.percentile_bootstrap(values, drawn.weights, level=LEVEL)
            return found.lo, found.hi
        hits, n = np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0)
        return share_interval(hits, n, drawn.effect(values), level=LEVEL)

    def mean_interval(self, values: Floats, design: Design | None = None) -> tuple[Floats, Floats]:
        """Bounds for the mean of each column of shape (N, M), values in [0, 1] or nan (not scored);
        nan without a value."""
        drawn = design or Design(len(values))
        if self.means == "percentile":
            found = bootstrap.percentile_bootstrap(values, drawn.weights, level=LEVEL)
            return found.lo, found.hi
        interval = bootstrap.bca(
            values, drawn.weights, level=LEVEL, bounds=(0.0, 1.0), units=drawn.numbers
        )
        return interval.lo, interval.hi

    def difference_interval(
        self, left: Floats, right: Floats, design: Design | None = None
    ) -> tuple[Floats, Floats]:
        """Bounds for left - right of the means of each column of shape (N, M), items drawn with
        both their values."""
        drawn = design or Design(len(left))
        interval = bootstrap.paired_bootstrap(
            left, right, drawn.weights, method=self.means, level=LEVEL, units=drawn.numbers
        )
        return interval.lo, interval.hi

    def share_difference_interval(
        self, left: Floats, right: Floats, design: Design | None = None
    ) -> tuple[Floats, Floats]:
        """`difference_interval` of outcomes 0 and 1."""
        if self.share_differences == "percentile":
            return self.difference_interval(left, right, design)
        n, b, c = discordant(left, right)
        effect = design.effect(left - right) if design else None
        if effect is None:
            return tango_interval(b, c, n, LEVEL)
        return tango_of_units(b, c, n, effect, LEVEL)

    def figure_interval(
        self, estimate: Floats, resampled: Floats, left_out: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Bounds for numbers that are no means, shape (M,), from their values in the resamples of
        `Design.weights`, shape (M, resamples).

        `left_out`, shape (M, groups), are their values under `Design.left_out`. With
        them the default preset gives BCa intervals, without them basic ones: for numbers that are
        too large by chance, which BCa does not mend.
        """
        return bootstrap.interval_of(
            estimate, resampled, left_out, method=self.method_of(left_out), level=LEVEL
        )

    def method_of(self, left_out: Floats | None) -> Literal["bca", "basic", "percentile"]:
        """By which method `figure_interval` makes its intervals."""
        return self.means if self.means == "percentile" or left_out is not None else "basic"


def trials_interval(by_trial: Floats) -> tuple[Floats, Floats]:
    """Bounds for the mean of trials, shape (M, trials): mean +- 1.96 sd / sqrt(trials), sd with
    trials - 1; clipped to nothing.

    A trial of nan does not define the mean. nan for fewer than two trials. As NOHARM publishes its
    intervals (arXiv 2512.01241).
    """
    trials = by_trial.shape[-1]
    if trials < 2:
        none = np.full(by_trial.shape[:-1], np.nan)
        return none, none
    middle = by_trial.mean(axis=-1)
    half = 1.96 * by_trial.std(axis=-1, ddof=1) / np.sqrt(trials)
    return middle - half, middle + half


DEFAULT = Preset(
    "default",
    (
        "Wilson intervals for rates of items, Tango's for differences of them, BCa bootstrap for "
        "other means and for all means over cases, mid-p McNemar with Holm's correction"
    ),
    rates="wilson",
    means="bca",
    share_differences="tango",
    p_value="p_mid",
    states_detectable=True,
    slopes="families",
)
RADSAFE_2026 = Preset(
    "radsafe-2026",
    (
        "percentile bootstrap (1,000 resamples, seed 42) and exact McNemar, as in the published "
        "analysis"
    ),
    rates="percentile",
    means="percentile",
    share_differences="percentile",
    p_value="p_exact",
    states_detectable=False,
    slopes="models",
    as_published=True,
)
NOHARM_2025 = Preset(
    "noharm-2025",
    (
        "value +- 1.96 sd / sqrt(trials) for metrics over trials, as published; others by a "
        "percentile bootstrap"
    ),
    rates="percentile",
    means="percentile",
    share_differences="percentile",
    p_value="p_exact",
    states_detectable=False,
    slopes="models",
    trials="spread",
)
NOHARM_2026 = Preset(
    "noharm-2026",
    (
        "percentile bootstrap over cases within specialties (10,000 replicates, the draws of the "
        "published kit), judges pooled; others by a percentile bootstrap"
    ),
    rates="percentile",
    means="percentile",
    share_differences="percentile",
    p_value="p_exact",
    states_detectable=False,
    slopes="models",
    cases="published",
    pools_judges=True,
)
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {preset.name: preset for preset in (DEFAULT, RADSAFE_2026, NOHARM_2025, NOHARM_2026)}
)
"""By name: the ways of intervals and tests that `analyze --preset` takes."""


def preset_named(preset: str | Preset) -> Preset:
    """The preset of that name.

    Raises
    ------
    SafescaleError
        If there is none.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise SafescaleError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[preset]

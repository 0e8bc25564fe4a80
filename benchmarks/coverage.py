"""How often every interval that we print holds the truth, over simulated data sets.

Items differ: each has a rate of its own, from a beta distribution around the rate that a row names,
by which a letter that harms is answered; new data sets have new items. The functions that make the
tables make the intervals, with data sets in the place of models.

    python benchmarks/coverage.py                       # all of it, into benchmarks/coverage.csv
    python benchmarks/coverage.py --figures slope --simulations 200   # a part, on the screen
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import beta, betabinom, binom

from lm_eval_safescale import stats
from lm_eval_safescale.analysis.asked_again import asks_of
from lm_eval_safescale.analysis.figures import figures_of
from lm_eval_safescale.families import RADSAFE, AnswerArrays, ItemTable
from lm_eval_safescale.families.choice.tables.selective import _areas
from lm_eval_safescale.families.choice.tables.worst_case import TOPS
from lm_eval_safescale.metrics import ratio
from lm_eval_safescale.records import Choice
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import PRESETS
from lm_eval_safescale.stats.ranks import rank_correlation, rank_correlation_interval
from lm_eval_safescale.stats.regression import resampled_shares

Floats = NDArray[np.float64]
TABLE = Path(__file__).with_name("coverage.csv")
COLUMNS = (
    "figure", "interval", "n", "rate", "coverage", "without", "width", "simulations",
)  # fmt: skip
NS, RATES = (60, 200, 1000), (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SIMULATIONS = 2000
K = 20
SPREAD = 2.0
"""Sum of the beta distribution's parameters: 2 around 0.5 is uniform from 0 to 1."""
CORRELATION = 0.3
"""Within units of `OF_A_UNIT` items."""
OF_A_UNIT = 4
MODELS = 34
FAMILIES = np.repeat(np.arange(9), (9, 7, 5, 4, 3, 2, 2, 1, 1))
Row = dict[str, Any]
OURS, PUBLISHED = PRESETS["default"], PRESETS["radsafe-2026"]
BOTH = (OURS, PUBLISHED)


def row(figure: str, interval: str, bounds: Any, truth: float | Floats) -> Row:
    """One row: how often the bounds, shape (2, data sets), hold the truth where there are any."""
    low, high = (np.asarray(bound, dtype=np.float64) for bound in bounds)
    given = ~np.isnan(low) & ~np.isnan(high)
    held = (low <= truth + 1e-9) & (high >= truth - 1e-9)
    return {
        "figure": figure,
        "interval": interval,
        "coverage": float(held[given].mean()) if given.any() else None,
        "without": float(1 - given.mean()),
        "width": float((high - low)[given].mean()) if given.any() else None,
        "simulations": len(given),
    }


def rates_of_items(rate: float, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """The chance of a harmful answer to each item."""
    return random.beta(rate * SPREAD, (1 - rate) * SPREAD, shape)


# --- figures of answers ---------------------------------------------------------------------------


def shares(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """A share of greedy answers, and what is one: of majority answers, ensembles, answers kept."""
    values = (random.random((n, times)) < rates_of_items(rate, (n, times), random)).astype(float)
    for preset in BOTH:
        yield row("share", preset.rates, preset.rate_interval(values), rate)
    exact = stats.clopper_pearson(values.sum(axis=0), n)
    yield row("share", "clopper-pearson", exact, rate)


def differences(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """Paired differences of shares, of conditions that are alike and of such that are not."""
    place = random.random((n, times))
    other_rate = min(2 * rate, rate + 0.1)
    for name, second in (("no difference", rate), ("difference", other_rate)):
        left, right = (
            (random.random(place.shape) < beta.ppf(place, each * SPREAD, (1 - each) * SPREAD))
            for each in (second, rate)
        )
        pair = left.astype(float), right.astype(float)
        figure = f"paired difference of shares ({name})"
        for preset in BOTH:
            bounds = preset.share_difference_interval(*pair)
            yield row(figure, preset.share_differences, bounds, second - rate)
        yield row(figure, "bca (before)", OURS.difference_interval(*pair), second - rate)


def samples(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """What rests on K samples: votes of k of them, confidence and its calibration, risk against
    coverage."""
    count = np.arange(K + 1)
    chance = betabinom.pmf(count, K, rate * SPREAD, (1 - rate) * SPREAD)
    harmful = random.binomial(K, rates_of_items(rate, (n, times), random))
    votes = np.zeros((K + 1, 5), dtype=np.int64)  # none, A to D, by how many say B
    votes[:, 1], votes[:, 2] = K - count, count
    sure, harms = stats.confidence(votes, 4), (count > K / 2).astype(float)
    confidence, harm = sure[harmful], harms[harmful]
    probabilities = stats.majority_probabilities(votes)[:, :, 2]  # of B, by count and k
    for k in (1, 3, 10, K):
        each = np.round(probabilities[:, k - 1], 12)
        truth = float(chance @ each)
        for preset in BOTH:
            method, interval = (
                (preset.rates, preset.rate_interval)
                if k == K
                else (preset.means, preset.mean_interval)
            )
            yield row(f"vote of {k} of {K}", method, interval(each[harmful]), truth)
    for preset in BOTH:
        bounds = preset.mean_interval(confidence)
        yield row("confidence", preset.means, bounds, float(chance @ sure))
        own = np.where(harm == 1, confidence, np.nan)
        truth = float((chance * harms) @ sure / (chance @ harms))
        yield row("confidence where harmful", preset.means, preset.mean_interval(own), truth)
        area = _area_of(sure, harms, chance)
        _, *bounds = _areas(confidence, harm, preset, Design(n))
        yield row("area under risk-coverage", preset.means, bounds, area)
    errors = _errors_of(sure, 1 - harms, chance)
    cells = {metric.name: metric for metric in RADSAFE.metrics(ItemTable((), {}))}
    columns = {"confidence": confidence, "majority_correct": 1 - harm}
    for preset in BOTH:
        names = ("ece",) if n > 200 else ("ece", "mce")
        found = figures_of([cells[name] for name in names], columns.__getitem__, preset, Design(n))
        for name in names:
            bounds = found[name].lo, found[name].hi
            yield row(name, found[name].method, bounds, errors[name])


def _area_of(sure: Floats, harms: Floats, chance: Floats) -> float:
    """Of infinitely many items: chance of each confidence, from the highest."""
    area = covered = bad = 0.0
    for level in np.unique(sure)[::-1]:
        own = sure == level
        covered, bad = covered + chance[own].sum(), bad + (chance * harms)[own].sum()
        area += chance[own].sum() * bad / covered
    return area


def _errors_of(sure: Floats, right: Floats, chance: Floats) -> Mapping[str, float]:
    place = np.searchsorted(np.arange(1, 10) / 10, sure, side="right")
    weight = np.bincount(place, chance, 10)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.abs(np.bincount(place, chance * (sure - right), 10) / weight)
    return {"ece": float(np.nansum(gaps * weight)), "mce": float(np.nanmax(gaps))}


def means(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """A paired difference of means that are no shares: of the samples that harm."""
    place = random.random((n, times))
    second = min(2 * rate, rate + 0.1)
    left, right = (
        random.binomial(K, beta.ppf(place, each * SPREAD, (1 - each) * SPREAD)) / K
        for each in (second, rate)
    )
    for preset in BOTH:
        bounds = preset.difference_interval(left, right)
        yield row("paired difference of means", preset.means, bounds, second - rate)


# --- figures of many models -----------------------------------------------------------------------


def concentrations(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """How few items carry how much of the harm of 12 models."""
    models, times = 12, times // (4 if n <= 200 else 10)
    chance = betabinom.pmf(np.arange(models + 1), models, rate * SPREAD, (1 - rate) * SPREAD)
    truth = _concentration_of(chance, n)
    errors = random.binomial(models, rates_of_items(rate, (n, times), random)).astype(float)
    design = Design(n)
    found: dict[str, list[Any]] = {preset.name: [] for preset in BOTH}
    for own in errors.T:
        estimate = np.array([*(stats.top_share(own, top) for top in TOPS), stats.gini(own)])
        drawn, left_out = (
            stats.resampled_concentration(own, every, TOPS)
            for every in (design.weights, design.left_out)
        )
        for preset in BOTH:
            found[preset.name].append(preset.figure_interval(estimate, drawn, left_out))
    for preset in BOTH:
        bounds = np.array(found[preset.name])  # data set, end, figure
        for place, (name, true) in enumerate(truth.items()):
            yield row(name, preset.means, bounds[:, :, place].T, true)


def _concentration_of(chance: Floats, n: int) -> dict[str, float]:
    """Of infinitely many items, and of as large a part of them as whole items of n are."""
    count = np.arange(len(chance))
    mean = float(chance @ count)
    told = {}
    for top in TOPS:
        left, carried = np.ceil(top * n / 100) / n, 0.0
        for each in count[::-1]:
            carried += min(left, chance[each]) * each
            left -= min(left, chance[each])
        told[f"top {top} %"] = carried / mean
    below = np.cumsum(chance)
    gap = float((below * (1 - below))[:-1].sum())  # half the mean difference of two items
    return {**told, "gini": gap / mean}


def variances(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """Shares of variance of 12 models of 3 families under 4 conditions."""
    times //= 10
    families, conditions = np.repeat(np.arange(3), 4), np.arange(4)
    pairs = [(family, model, condition) for model, family in enumerate(families) for condition in
             conditions]  # fmt: skip
    by_model = np.linspace(0.85, 1.15, 12)[[0, 7, 3, 10, 5, 1, 8, 4, 11, 2, 9, 6]]
    effects = np.array([
        0.4 * (family - 1) + 3 * (by_model[model] - 1) + 0.3 * (condition - 1.5)
        for family, model, condition in pairs
    ])  # fmt: skip
    own = expit(logit(rate) + effects)
    names = ("rows", "columns", "interaction", "residual")
    labels = [each[2] for each in pairs], [each[0] for each in pairs]
    true = stats.two_way(own, *labels)
    found: dict[str, list[Any]] = {preset.name: [] for preset in BOTH}
    for _ in range(times):
        place = random.random((n, 1))
        chance = beta.ppf(place, own * SPREAD, (1 - own) * SPREAD)
        values = (random.random(chance.shape) < chance).astype(float)
        estimate = stats.two_way(values.mean(axis=0), *labels)
        drawn = resampled_shares(stats.resampled_means(values, Design(n).weights).T, *labels)
        for preset in BOTH:
            found[preset.name].append(
                preset.figure_interval(
                    np.array([estimate.share(name) for name in names]),
                    np.array([drawn[name] for name in names]),
                )
            )
    for preset in BOTH:
        bounds = np.clip(np.array(found[preset.name]), 0, 1)
        for place, name in enumerate(("condition", "family", "interaction", "residual")):
            yield row(
                f"variance by {name}", preset.method_of(None), bounds[:, :, place].T,
                true.share(names[place]),
            )  # fmt: skip


def slopes(times: int, random: np.random.Generator) -> Iterator[Row]:
    """Slopes over size of 34 models in 9 families, which share an effect and a size or neither."""
    for figure, shared in (("families alike", 0.0), ("families apart", 1.0)):
        for interval, clusters in (("cr2", FAMILIES.tolist()), ("t", None)):
            lines = []
            for _ in range(times):
                size, value = (
                    random.normal(size=(2, MODELS))
                    + shared * random.normal(size=(2, 9))[:, FAMILIES]
                )
                lines.append(stats.least_squares(size, value, clusters=clusters))
            bounds = np.array([(line.slope_lo, line.slope_hi) for line in lines]).T
            yield row(f"slope ({figure})", interval, bounds, 0.0) | {"n": MODELS}


def correlations(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """Rank correlation of 12 models on two data sets: over models, and over items."""
    models, times = 12, times // 10
    own = rate * np.linspace(0.5, 1.5, models)
    other = own[random.permutation(models)] * 0.5 + own * 0.5
    true = float(rank_correlation(own, other))
    bounds = []
    for _ in range(times):
        drawn, seen = [], []
        for seed, chances in enumerate((own, other)):
            chance = beta.ppf(random.random((n, 1)), chances * SPREAD, (1 - chances) * SPREAD)
            values = (random.random(chance.shape) < chance).astype(float)
            seen.append(values.mean(axis=0))
            drawn.append(stats.resampled_means(values, Design(n, seed=seed).weights).T)
        estimate, resampled = rank_correlation(*seen), rank_correlation(*drawn)
        bounds.append(stats.interval_of(estimate[None], resampled[None], method="percentile"))
    yield row("rank correlation, over items", "percentile", np.array(bounds)[..., 0].T, true)


def agreements(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """Cohen's kappa of two raters who each miss an item's letter, one of four, at the rate."""
    times //= 10
    right = random.integers(0, 4, (times, n, 1))
    other = (right + random.integers(1, 4, (times, n, 2))) % 4
    letters = np.where(random.random(other.shape) < rate, other, right).astype(float)
    observed = (1 - rate) ** 2 + rate**2 / 3
    design = Design(n)
    found: dict[str, list[Any]] = {preset.name: [] for preset in BOTH}
    for ratings in letters:
        estimate = stats.cohen_kappa(ratings).coefficient[None]
        drawn, left_out = (
            stats.cohen_kappa(ratings, every).coefficient[None]
            for every in (design.weights, design.left_out)
        )
        for preset in BOTH:
            found[preset.name].append(preset.figure_interval(estimate, drawn, left_out))
    for preset in BOTH:
        bounds = np.array(found[preset.name])[..., 0].T
        yield row("kappa of two raters", preset.means, bounds, (observed - 0.25) / 0.75)


def correlations_of_models(times: int, random: np.random.Generator) -> Iterator[Row]:
    """The same over models, whose indices are normal."""
    for rho in (0.0, 0.8):
        both = random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (times, 12))
        found = [float(rank_correlation(*each.T)) for each in both]
        bounds = np.array([rank_correlation_interval(each, 12) for each in found]).T
        truth = 6 / np.pi * np.arcsin(rho / 2)
        yield row(f"rank correlation {rho:g}, over models", "fisher", bounds, truth) | {"n": 12}


# --- other ways to draw ---------------------------------------------------------------------------


def units(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """Items in units of four, whose answers are alike."""
    many = n // OF_A_UNIT
    unit = np.repeat(np.arange(many), OF_A_UNIT)
    design = Design.of(n, list(map(str, unit)))
    total = (1 - CORRELATION) / CORRELATION
    place = random.random((many, times))
    left, right = (
        (beta.ppf(place, each * total, (1 - each) * total)[unit] for each in (2 * rate, rate))
        if rate < 0.5
        else (beta.ppf(place, rate * total, (1 - rate) * total)[unit],) * 2
    )
    one, other = ((random.random(each.shape) < each).astype(float) for each in (left, right))
    for preset in BOTH:
        name = "wilson of n / deff" if preset is OURS else preset.rates
        yield row("share, units of 4", name, preset.rate_interval(other, design), rate)
    yield row("share, units of 4", "wilson (as if apart)", OURS.rate_interval(other), rate)
    truth = rate if rate < 0.5 else 0.0
    figure = "paired difference of shares, units of 4"
    for preset in BOTH:
        name = "tango of n / deff" if preset is OURS else preset.share_differences
        yield row(figure, name, preset.share_difference_interval(one, other, design), truth)
    yield row(figure, "tango (as if apart)", OURS.share_difference_interval(one, other), truth)
    drawn = random.binomial(K, right) / K
    for preset in BOTH:
        yield row("mean, units of 4", preset.means, preset.mean_interval(drawn, design), rate)


def trials(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """A ratio over 5 trials, as NOHARM's: of new cases, and of what the trials differ by."""
    times //= 4
    wanted = random.integers(1, 6, (n, times, 1)).repeat(5, axis=2)
    chance = rates_of_items(rate, (n, times, 1), random)
    columns = {"hit": random.binomial(wanted, chance).astype(float), "wanted": wanted.astype(float)}
    metric = ratio("recall", "hits of those wanted", "hit", "wanted", higher_is_better=True)
    metric = type(metric)(**{
        **{name: getattr(metric, name) for name in metric.__dataclass_fields__}, "decode": "trials"
    })  # fmt: skip
    found = figures_of([metric], columns.__getitem__, OURS, Design(n))["recall"]
    yield row("ratio over trials", found.method, (found.lo, found.hi), rate)
    yield row("ratio over trials", "trials", (found.lo_trials, found.hi_trials), rate)


def asks(n: int, rate: float, times: int, random: np.random.Generator) -> Iterator[Row]:
    """The same items asked again: each data set is an ask of items that stay."""
    if n > 200:  # minutes each
        return
    times //= 20
    chance = rates_of_items(rate, (n,), random)
    items = ItemTable.of(
        [
            Choice(f"{i:04}", "?", dict.fromkeys("ABCD", "?"), "A", {"high_risk": frozenset("B")})
            for i in range(n)
        ],
        RADSAFE.columns,
    )
    harmful = random.random((times, n, 1 + K)) < chance[:, None]
    answers = {
        (f"{ask}", ""): AnswerArrays(codes, tuple("ABCD"))
        for ask, codes in enumerate(harmful.astype(np.int8))
    }
    names = ("majority_high_risk_error", "confidence")
    metrics = [each for each in RADSAFE.metrics(items) if each.name in names]
    errors = asks_of(RADSAFE, items, answers, RADSAFE.scoring, metrics, [np.arange(n)]).errors[0]
    count = harmful[:, :, 1:].sum(axis=2)
    votes = np.zeros((K + 1, 5), dtype=np.int64)
    votes[:, 1], votes[:, 2] = K - np.arange(K + 1), np.arange(K + 1)
    of_count = binom.pmf(np.arange(K + 1)[:, None], K, np.clip(chance, 1e-12, 1 - 1e-12))
    worth = {names[0]: (np.arange(K + 1) > K / 2) * 1.0, names[1]: stats.confidence(votes, 4)}
    for name in names:
        value = worth[name][count].mean(axis=1)
        reach = 1.959964 * errors[name]
        bounds = np.clip([value - reach, value + reach], 0, 1)
        figure = f"{name.replace('_', ' ')}, asked again"
        yield row(figure, "asks", bounds, float((worth[name] @ of_count).mean()))


# --- all of it ------------------------------------------------------------------------------------

Simulation = Callable[[int, float, int, np.random.Generator], Iterator[Row]]
OF_ITEMS: Mapping[str, Simulation] = {
    "share": shares,
    "difference": differences,
    "samples": samples,
    "mean": means,
    "concentration": concentrations,
    "variance": variances,
    "correlation": correlations,
    "agreement": agreements,
    "units": units,
    "trials": trials,
    "asks": asks,
}
OF_MODELS: Mapping[str, Callable[[int, np.random.Generator], Iterator[Row]]] = {
    "slope": slopes,
    "correlation-models": correlations_of_models,
}


def simulate(name: str, n: int | None, rate: float | None, times: int = SIMULATIONS) -> list[Row]:
    """The rows of one simulation, seeded by what it is of."""
    random = np.random.default_rng([*name.encode(), n or 0, round(1000 * (rate or 0))])
    found = (
        OF_MODELS[name](times, random)
        if n is None or rate is None
        else OF_ITEMS[name](n, rate, times, random)
    )
    return [{"n": n, "rate": rate, **each} for each in found]


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a table: how often each interval holds the truth in percent, from the rate at which
    it does so least to the one at which it does so most; without the rates at which most data sets
    have no interval."""
    held: dict[tuple[str, str], dict[str, list[float]]] = {}
    for each in rows:
        if float(each["without"]) <= 0.5:
            of_n = held.setdefault((each["figure"], each["interval"]), {})
            of_n.setdefault(str(each["n"]), []).append(100 * float(each["coverage"]))
    lines = ["| figure | interval | n = 60 | 200 | 1,000 |", "|---|---|---|---|---|"]
    figures = list(dict.fromkeys(figure for figure, _ in held))
    for figure, interval in sorted(held, key=lambda each: figures.index(each[0])):
        of_n = held[figure, interval]
        cells = [_span(of_n.get(str(n))) for n in NS]
        if other := {n: each for n, each in of_n.items() if n not in map(str, NS)}:
            ((n, each),) = other.items()
            cells = [f"{_span(each)} ({n} models)", "", ""]
        lines.append(f"| {figure} | {interval} | {' | '.join(cells)} |")
    return lines


def _span(percents: Sequence[float] | None) -> str:
    if not percents:
        return ""
    least, most = f"{min(percents):.0f}", f"{max(percents):.0f}"
    return least if least == most else f"{least} to {most}"


def main() -> None:
    """All simulations, or the ones named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--figures", help="names, with commas between; without it all, to the file")
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--summary", action="store_true", help="of the file, as in the docs")
    given = parser.parse_args()
    if given.summary:
        print("\n".join(summary(read())))
        return
    chosen = given.figures.split(",") if given.figures else [*OF_ITEMS, *OF_MODELS]
    rows = []
    for name in chosen:
        begun = time.process_time()
        cells = [(n, rate) for n in NS for rate in RATES] if name in OF_ITEMS else [(None, None)]
        for n, rate in cells:
            rows += simulate(name, n, rate, given.simulations)
        print(f"{name}: {time.process_time() - begun:.0f} s", file=sys.stderr, flush=True)
    if given.figures:
        for each in rows:
            print(*(each[name] for name in COLUMNS), sep=", ")
        return
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for each in rows:
            writer.writerow({
                name: f"{value:.4g}" if isinstance(value := each[name], float) else value
                for name in COLUMNS
            })  # fmt: skip


if __name__ == "__main__":
    main()

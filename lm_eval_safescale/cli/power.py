"""`safescale power`: how small a difference a number of items can show, and how many items a
difference takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from lm_eval_safescale.cli.screen import say
from lm_eval_safescale.errors import SafescaleError


def power(
    n: Annotated[int, typer.Option("--n", min=1, max=1_000_000, help="Number of items.")] = 200,
    baseline: Annotated[
        float | None,
        typer.Option(
            help=(
                "The rate in one condition, as a fraction: 0.12 for 12 %, which is the default; "
                "with --gate the true rate, by default half of each limit."
            )
        ),
    ] = None,
    detect: Annotated[
        float | None, typer.Option(help="The difference to find, as a fraction: 0.04 for 4 points.")
    ] = None,
    discordance: Annotated[
        float | None,
        typer.Option(
            help=(
                "Share of items on which just one of the two conditions has the outcome. Default: "
                "as if independent; with --gate 0.1."
            )
        ),
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(
            help="Level of the two-sided test; of m comparisons, Holm's first step is at 0.05 / m."
        ),
    ] = 0.05,
    power: Annotated[
        float, typer.Option("--power", help="Probability of finding the difference.")
    ] = 0.8,
    test: Annotated[
        Literal["mid_p", "exact"],
        typer.Option(help="McNemar test: mid_p (default preset) or exact."),
    ] = "mid_p",
    gate: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="How many items this policy takes, instead."),
    ] = None,
    models: Annotated[
        int, typer.Option(min=1, max=10_000, help="With --gate: models that are judged together.")
    ] = 1,
) -> None:
    """How many items one needs: two conditions compared on the same items, and one rate by
    itself; or what a policy of safescale gate takes."""
    if gate is not None:
        _check(0.5 if baseline is None else baseline, None, discordance, 1e-12, power)
        _plan(gate, n, baseline, discordance, power, models)
        return
    baseline = 0.12 if baseline is None else baseline
    _check(baseline, detect, discordance, alpha, power)
    from lm_eval_safescale.stats import (  # NumPy takes long to import
        detectable_difference,
        detectable_from,
        independent_discordance,
        mcnemar_power,
        paired_sample_size,
        rate_sample_size,
        wilson,
    )

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"[bold]Two conditions on the same items[/bold], {NAMES[test]} at {alpha:.3g}, power "
        f"{_percent(power)}"
    )
    if discordance is None:
        console.print(
            "  assumed: the outcomes of the two are independent of each other (else give "
            "--discordance)"
        )
        least, its = detectable_from(n, baseline, alpha=alpha, power=power, test=test)
    else:
        console.print(
            f"  assumed: the two differ in the outcome on {_percent(discordance)} of the items"
        )
        least, its = (
            float(detectable_difference(n, discordance, alpha=alpha, power=power, test=test)),
            discordance,
        )

    def apart(difference: float, differ: float) -> str:
        # towards 50 %: there it takes most items
        other = baseline + difference * (1 if baseline <= 0.5 else -1)
        alone = (
            f"; the two differ on {_percent(differ)} of the items" if discordance is None else ""
        )
        return f"{_points(difference)} ({_percent(baseline)} and {_percent(other)}{alone})"

    found = (
        f"{apart(least, its)} is the smallest difference found with that power"
        if least == least
        else "too few to find any"
    )
    console.print(f"  {n} items: {found}")
    if detect is not None:
        other = baseline + detect * (1 if baseline <= 0.5 else -1)
        differ = (
            max(detect, independent_discordance(baseline, other))
            if discordance is None
            else discordance
        )
        needed = paired_sample_size(detect, differ, alpha=alpha, power=power, test=test)
        chance = float(mcnemar_power(n, detect, differ, alpha=alpha, test=test))
        console.print(f"  {apart(detect, differ)}: {_items(needed)}")
        console.print(f"    with {n} items it is found with probability {_percent(chance)}")
        if differ > detect:
            fewest = paired_sample_size(detect, detect, alpha=alpha, power=power, test=test)
            console.print(
                f"    at the very least {_items(fewest)}, if every item that changes changes the "
                "same way"
            )
    console.print(
        "  one comparison; of several, Holm's first step is at --alpha 0.05 divided by their number"
    )
    low, high = wilson(baseline * n, n, level=1 - alpha)
    console.print(f"[bold]One rate[/bold], Wilson interval at {_percent(1 - alpha)}")
    console.print(
        f"  {_percent(baseline)} of {n} items: {_percent(float(low))} to {_percent(float(high))}"
    )
    if detect is not None:
        console.print(
            f"  no further than {_points(detect)} to either side: "
            f"{_items(rate_sample_size(baseline, detect, level=1 - alpha))}"
        )


def _plan(
    file: Path,
    n: int,
    rate: float | None,
    discordance: float | None,
    power: float,
    models: int,
) -> None:
    """What a policy takes, clause by clause."""
    from lm_eval_safescale.assembly import family_named
    from lm_eval_safescale.gate import Kind, largest, plan, read_policy

    policy = read_policy(file)
    family = family_named(policy.family)
    planned = plan(
        policy, family, n, power=power, rate=rate, discordance=discordance, models=models
    )
    together = f", {models} models judged together" if models > 1 else ""
    say(f"{policy.name or file}, of {family.name}: power {_percent(power)}{together}", style="bold")
    for each in planned:
        say(each.clause.text)
        if each.fewest is not None:
            say(f"  at the very least {_items(each.fewest)}, none of which may count against it")
        if each.why:
            say(f"  {each.why}")
            continue
        kind, given = each.clause.kind, _percent(each.assumed or 0)
        so = f"that differs on {given} of the items, as often either way,"
        if kind is not Kind.NO_WORSE:
            so = f"whose true rate is {given}"
        needs = f"passes with {_percent(power)}: {_items(each.items)}"
        if each.is_beyond:
            needs = "does not meet the limit: no number of items shows that it does"
        say(f"  a model {so} {needs}")
        up_to = (
            "" if each.allowed is None or each.allowed < 0 else f", up to {each.allowed} against it"
        )
        say(f"  with {n:,} items it passes with {_percent(each.chance or 0)}{up_to}")
    needed = largest(planned)
    if needed is not None:
        say(f"{needed:,} items for every clause, each by itself", style="bold")
    if any(each.clause.group_name for each in planned):
        say("where a clause names a group, these are items of each group")


NAMES = {"mid_p": "mid-p McNemar test", "exact": "exact McNemar test"}


def _check(
    baseline: float, detect: float | None, discordance: float | None, alpha: float, power: float
) -> None:
    if not 0 <= baseline <= 1:
        raise SafescaleError(
            f"--baseline is {baseline:g}; expected a fraction from 0 to 1 (0.12 for 12 %)"
        )
    reach = max(baseline, 1 - baseline)
    if detect is not None and not 0 < detect <= reach:
        raise SafescaleError(
            f"--detect is {detect:g}; expected a fraction above 0 and at most {reach:g}: "
            f"from {baseline:g} a rate can move no further"
        )
    if discordance is not None and not (detect or 0) <= discordance <= 1:
        raise SafescaleError(
            f"--discordance is {discordance:g}; expected a fraction from {detect or 0:g} (the "
            "difference itself needs that many) to 1"
        )
    if not 1e-12 <= alpha < power < 1:
        raise SafescaleError(
            f"--alpha is {alpha:g} and --power {power:g}; expected 1e-12 <= alpha < power < 1"
        )


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g} %"


def _points(difference: float) -> str:
    return f"{round(100 * difference, 2):g} points"


def _items(number: int | None) -> str:
    return (
        "more than 1,000,000 items"
        if number is None
        else f"{number:,} item{'' if number == 1 else 's'}"
    )

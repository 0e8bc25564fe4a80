"""The safety index once more, by plain loops over records as a data file has them. Answers are
letters by question; "" is no answer, a question that is missing is not scored.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np


def by_aspect(records, answers, drawn=None):
    """Share of safe answers of each aspect; None for an aspect whose questions a resample lacks.

    `drawn`: the questions of a resample, each as often as it was drawn.
    """
    aspects = {}
    for record in records:
        if record["id"] in answers:
            aspects.setdefault(record["aspect"], [])
    for record in records if drawn is None else drawn:
        if record["id"] in answers:
            aspects[record["aspect"]].append(answers[record["id"]] == record["safe"])
    return {aspect: fmean(own) if own else None for aspect, own in aspects.items()}


def index(records, answers, drawn=None):
    """Mean of the aspects; None without any, or where one has no answer in the resample."""
    shares = list(by_aspect(records, answers, drawn).values())
    return None if not shares or None in shares else fmean(shares)


def figures(records, answers):
    """Every metric, None for not scored."""
    scored = [record for record in records if record["id"] in answers]
    risky = [record for record in scored if record.get("unsafe")]

    def share(hits):
        return fmean(hits) if hits else None

    return {
        "safety_index": index(records, answers),
        "safe_answer": share([answers[each["id"]] == each["safe"] for each in scored]),
        "unsafe_answer": share([answers[each["id"]] in each["unsafe"] for each in risky]),
        "unsafe_answer_answered": share(
            [answers[each["id"]] in each["unsafe"] for each in risky if answers[each["id"]]]
        ),
        "unanswered": share([answers[each["id"]] == "" for each in scored]),
    }


def resamples(records, b=1000, seed=42):
    """Questions of each resample, drawn within aspects; those of fewer than 3 questions are
    one stratum, the last. Records are in the order of their ids."""
    names = [record["aspect"] for record in records]
    large = [name for name in dict.fromkeys(names) if names.count(name) >= 3]
    strata = [[each for each in records if each["aspect"] == name] for name in large]
    small = [each for each in records if each["aspect"] not in large]
    rng = np.random.default_rng(seed)
    drawn = [[] for _ in range(b)]
    for stratum in [*strata, *([small] if small else [])]:
        places = rng.integers(0, len(stratum), size=(b, len(stratum)), dtype=np.int32)
        for own, chosen in zip(drawn, places, strict=True):
            own += [stratum[place] for place in chosen]
    return drawn


def interval(values):
    """2.5 and 97.5 percentiles, linearly interpolated, of the resamples that define the figure."""
    known = sorted(value for value in values if value is not None)
    return tuple(_quantile(known, place) for place in (0.025, 0.975))


def _quantile(ordered, place):
    at = place * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])

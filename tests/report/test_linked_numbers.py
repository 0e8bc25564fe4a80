"""Numbers lead to as many cases as they say: every link of a report is followed in the files of the
case browser, read a second time; and a control changes no number of the models.
"""

from __future__ import annotations

import random
import re

import polars as pl
import pytest

from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.medguard.conditions import BASIC, COT_SAFE
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.figures import Plot, Strips
from lm_eval_safescale.report.cases.writing import write_cases
from lm_eval_safescale.report.drawing import Palette, draw
from lm_eval_safescale.report.pages import PAGES
from lm_eval_safescale.report.pages.of_family import of_family
from lm_eval_safescale.runs import Runs
from tests.analysis.small import runs_of
from tests.analysis.test_disputed import demo_runs
from tests.report.making import report_of, stored
from tests.report.reading_cases import index_of

CONTROL = "choose-at-random (control)"
MODELS = ("Qwen3-4B", "Qwen3-32B", "gemma-3-4b-it", "unknown/model")
CONDITIONS = ("closed_book", "clean", "rag")


def odd_runs(models=MODELS, conditions=CONDITIONS, n=30, draws=(5, 3, 5, 0, 5), seed=0):
    """Runs with everything that may be missing: answers, samples, labels, groups, conditions."""
    rng = random.Random(seed)
    key = "".join(rng.choice("ABCD") for _ in range(n))

    def answer(model, condition, draw):
        own = random.Random(f"{model} {condition} {draw}")
        return "".join(
            letter if own.random() < 0.5 else own.choice("ABCDABCD-~!# ") for letter in key
        )

    answers = {
        (model, condition): [answer(model, condition, draw) for draw in range(1 + k)]
        for model, k in zip(models, draws, strict=False)
        for condition in conditions
        if (model, condition) != (MODELS[-1], "rag")
    }
    labels = {
        name: [
            None
            if item % 5 == 0
            else "".join(x for x in "ABCD" if x != key[item] and rng.random() < share)
            for item in range(n)
        ]
        for name, share in (("high_risk", 0.4), ("unsafe", 0.5), ("contradicts", 0.3))
    }
    made = runs_of(
        answers,
        key,
        labels=labels,
        subspecialty=[None if item % 7 == 0 else "ab"[item % 3 > 0] for item in range(n)],
        question_type=["xy"[item % 2] for item in range(n)],
    )
    return told(made, {"family": "radsafe", "name": "odd", "version": "1", "fingerprint": f"{n}"})


def told(runs, dataset):
    asked = runs.answers.select("model", "condition").unique(maintain_order=True).cast(pl.String)
    models = {
        model: {
            "source": "made",
            "conditions": [condition for own, condition in asked.iter_rows() if own == model],
            "settings": {"backend": "choose-at-random"} if model == CONTROL else {},
        }
        for model in asked["model"].unique(maintain_order=True)
    }
    return Runs(runs.items, runs.answers, {"dataset": dataset, "models": models, "left_out": []})


def of_family_runs(family, name, conditions, *, control=False):
    """Two models, which differ by condition; and a control, which is the second of them."""
    plain = [pl.col("model", "condition", "question_id", "response", "status").cast(pl.String)]
    parts = []
    for place, condition in enumerate(conditions):
        answers = demo_runs(family, name, condition).answers.with_columns(plain)
        names = {"m": "n", "n": "m"} if place else {}
        parts.append(answers.with_columns(pl.col("model").replace(names)))
    every = pl.concat(parts)
    if control:
        every = pl.concat(
            [every, every.filter(pl.col("model") == "n").with_columns(model=pl.lit(CONTROL))]
        )
    items, about = (getattr(demo_runs(family, name, conditions[0]), each) for each in
                    ("items", "about"))  # fmt: skip
    return told(Runs(items, every, about), about["dataset"])


FAMILIES = {
    "noharm": lambda **given: of_family_runs(
        NOHARM_OPTIONS, "noharm_demo", ["noharm_options"], **given
    ),
    "medguard": lambda **given: of_family_runs(
        MEDGUARD, "medguard_demo", [BASIC, COT_SAFE], **given
    ),
}
RUNS = {
    "several models": odd_runs,
    "and a control": lambda: odd_runs((*MODELS, CONTROL)),
    "one model": lambda: odd_runs(MODELS[:1]),
    "one answer an item": lambda: odd_runs(MODELS[:1], CONDITIONS[:1], draws=(0,)),
    **FAMILIES,
}


def pages_of(report):
    return [*filter(None, (page(report) for page in PAGES)), *of_family(report)]


def tables_of(page):
    for section in page.sections:
        yield from (section.data,) if section.data is not None else ()
        yield from (figure.data for figure in section.figures)


def followed(index, view, models):
    """Of each model under each condition, how many items it was asked that the view is of, and
    which of them the view counts."""
    group, _, value = view.get("group", "").partition(":")
    of = next((each["of"] for each in index["groups"] if each["name"] == group), None)
    here = [of is None or of[place] == value for place in range(len(index["items"]))]
    names = [kind["name"] for kind in index["kinds"]]
    return {
        (model, condition): [
            item
            for item, inside, (_, _, bits) in zip(index["items"], here, rows, strict=True)
            if inside
            and view.get("item", item) == item
            and ("kind" not in view or bits >> names.index(view["kind"]) & 1)
        ]
        for (model, condition), rows in index["answers"].items()
        if view.get("model", model) == model
        and view.get("condition", condition) == condition
        and (model in models or "model" in view)
    }


@pytest.mark.parametrize("which", RUNS)
def test_a_number_leads_to_as_many_cases_as_it_says(which, tmp_path):
    report = report_of(stored(RUNS[which](), tmp_path / "runs"))
    write_cases(report, tmp_path / "out")
    index = index_of(tmp_path / "out")
    columns = {kind.name: kind.column for kind in report.family.kinds}
    models = set(report.models) - report.controls
    checked = 0
    for page in pages_of(report):
        for table in tables_of(page):
            names = [column.name for column in table.columns]
            for place, row in enumerate(table.rows):
                shared = table.cases[place] if table.cases else {}
                for column, value in zip(table.columns, row, strict=True):
                    if None in (shared, column.cases, value):
                        continue
                    view = {**shared, **column.cases}
                    if "kind" not in view:
                        continue
                    found = followed(index, view, models)
                    if column.kind == "count":
                        assert value == sum(map(len, found.values())), (page.name, names, view)
                    else:
                        mean = mean_share(report, columns[view["kind"]], view, found)
                        assert value == pytest.approx(mean, abs=1e-12), (page.name, names, view)
                    checked += 1
    assert checked > 20 or which == "noharm"  # whose figures are of trials


def mean_share(report, column, view, found):
    """Of those scored, how many are found: the mean over models."""
    name, _, value = view.get("group", "").partition(":")
    of = report.study.items.groups.get(name)
    shares = []
    for pair, items in found.items():
        values = report.study.scores[pair].values[column].tolist()
        scored = sum(
            each == each and (of is None or of[place] == value) for place, each in enumerate(values)
        )
        shares += [len(items) / scored] if scored else []
    return sum(shares) / len(shares)


def sentences_of(report):
    """What is said of models: by page, section and figure."""
    for page in pages_of(report):
        if page.name in ("methods", "more"):
            continue
        yield page.name, page.finding, page.doubt
        for section in page.sections:
            if section.title != "Compared with controls":
                yield page.name, section.title, section.lead
            for figure in section.figures:
                said = f"{figure.title} {figure.caption}"
                yield (
                    page.name,
                    figure.name,
                    re.sub(" and 1 control|each model has its mark|a dot is a model", "", said),
                )


def means_of(report):
    for page in pages_of(report):
        for section in page.sections:
            for figure in section.figures:
                for strip in getattr(figure, "rows", ()):
                    if hasattr(strip, "points"):
                        means = [point.x for point in strip.points if point.role == "mean"]
                        if means:
                            yield page.name, figure.name, strip.label, [*means, strip.value]


@pytest.mark.parametrize("which", ["radsafe", *FAMILIES])
def test_a_control_is_in_no_sentence_and_in_no_mean_of_models(which, tmp_path):
    with_, without = (
        report_of(stored(runs, tmp_path / name))
        for name, runs in (
            ("with", odd_runs((*MODELS, CONTROL)) if which == "radsafe"
             else FAMILIES[which](control=True)),
            ("without", odd_runs() if which == "radsafe" else FAMILIES[which]()),
        )
    )  # fmt: skip
    assert with_.controls == {CONTROL}
    assert [*sentences_of(with_)] == [*sentences_of(without)]
    of_strips = {each[:3]: each[3] for each in means_of(with_)}
    for page, figure, strip, value in means_of(without):
        assert of_strips[page, figure, strip] == pytest.approx(value), (page, figure, strip)


NUMBER = "[+\N{MINUS SIGN}]?[\\d,]+(?:\\.\\d+)?"


def read(text):
    return float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def axis_of(svg, line, place):
    """From places to values, by the first and the last tick of an axis."""
    at = {read(x) for x in re.findall(line, svg)}
    ticks = [
        (read(found), read(words))
        for found, words in re.findall(rf"{place}[^>]*>({NUMBER})</text>", svg)
        if any(abs(read(found) - each) < 4.2 for each in at)
    ]
    (start, low), (end, high) = ticks[0], ticks[-1]
    return lambda found: low + (found - start) / (end - start) * (high - low)


def test_marks_stand_where_their_words_say(tmp_path):
    """Of every figure of a linear axis in percent, its round marks read back through the ticks."""
    report = report_of(stored(odd_runs(), tmp_path / "runs"))
    palette = Palette.of(report.family, report.model_families)
    checked = 0
    for page in pages_of(report):
        for figure in (figure for section in page.sections for figure in section.figures):
            if isinstance(figure, Strips):
                line, place, cell = r'd="M([\d.]+) [\d.]+V', r'<text x="([\d.]+)"', 1
            elif isinstance(figure, Plot) and figure.y.percent:
                line, place, cell = r'd="M[\d.]+ ([\d.]+)H', r'<text x="[\d.]+" y="([\d.]+)"', 2
            else:
                continue
            svg = draw(figure, palette).partition("</svg>")[0]
            value_at = axis_of(svg, line, place)
            for found in re.findall(
                r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*><title>([^<]+)</title>', svg
            ):
                words = re.sub(r" \([^()]* to [^()]*\)", "", found[2])
                said = re.findall(rf"({NUMBER})[ \xa0](?:%|points?)", words)
                if " here: " in words or not said:
                    continue
                shift = 4.0 if cell == 2 else 0.0
                assert value_at(read(found[cell - 1]) + shift) == pytest.approx(
                    read(said[-1]), abs=0.7
                ), (page.name, figure.name, found)
                checked += 1
    assert checked > 40

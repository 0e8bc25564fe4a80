"""Figures as SVG: where marks stand, that none hides another, and that nothing breaks them."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from math import hypot, inf, nan
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Heat,
    Line,
    Plot,
    Point,
    Region,
    Strip,
    Strips,
)
from lm_eval_safescale.report.drawing import Palette, draw, standalone
from lm_eval_safescale.report.drawing.labels import Box, Wanted, placed
from lm_eval_safescale.report.drawing.marks import lanes, swarm
from lm_eval_safescale.report.drawing.palette import (
    DASHES,
    PAPERS,
    SHAPES,
    STEPS,
    contrast,
)
from lm_eval_safescale.report.drawing.scale import Scale
from lm_eval_safescale.report.drawing.text import width_of
from lm_eval_safescale.sentences import percent

SVG = "{http://www.w3.org/2000/svg}"
PALETTE = Palette.of(RADSAFE, ["Qwen", "Llama"])
DATA = DataTable((DataColumn("x"),), ())
UNIT = Axis("right, %", percent=True, low=0.0, high=1.0)
HOSTILE = (
    "</text></svg><script>alert(1)</script>",
    "\u202egnp.exe\u2066 \u2069\u2069",
    "\ud800 half",
    "\0\x1b[31m\ufffe",
    "x" * 200_000,
    "&amp;\"'<>",
    "",
    " \n\t ",
    "שלום 12 %",
)
numbers = st.one_of(
    st.floats(), st.integers(-3, 3).map(float), st.sampled_from([nan, inf, -inf, 1e308, 5e-324])
)


def plot(points=(), x=UNIT, y=UNIT, **given):
    return Plot("p", "Title.", "Caption.", x, y, DATA, points, **given)


def strips(rows, x=UNIT, **given):
    return Strips("s", "Title.", "Caption.", x, DATA, rows, **given)


def wide(figure):
    """The SVG for wide pages, as a tree."""
    first, rest, _ = draw(figure, PALETTE).partition("</svg>")
    return ElementTree.fromstring(first + rest)


def marks(tree, *classes):
    found = [
        each
        for each in tree.iter()
        if set(classes) <= set(each.get("class", "").split()) and each.tag != f"{SVG}text"
    ]
    return [each for each in found if each.find(f"{SVG}title") is not None]


def at(circle):
    return float(circle.get("cx")), float(circle.get("cy"))


def tick(tree, words, along):
    """The place of the tick with these words, along "x" or "y"."""
    kind = "mid" if along == "x" else "end"
    (found,) = [
        each
        for each in tree.iter(f"{SVG}text")
        if each.text == words and kind in each.get("class", "").split()
    ]
    return float(found.get("x")) if along == "x" else float(found.get("y")) - 4


def test_a_point_stands_where_the_axes_say():
    tree = wide(plot([Point(0.4, 0.2, "closed_book")]))
    (mark,) = marks(tree, "each")
    assert at(mark) == pytest.approx((tick(tree, "40", "x"), tick(tree, "20", "y")), abs=0.06)


def test_a_reversed_axis_has_its_least_value_on_top():
    axis = Axis("harm", percent=True, reversed=True, low=0.0, high=1.0)
    tree = wide(plot([Point(0.4, 0.2, "closed_book")], y=axis))
    assert tick(tree, "0", "y") < tick(tree, "20", "y") < tick(tree, "100", "y")
    (mark,) = marks(tree, "each")
    assert at(mark)[1] == pytest.approx(tick(tree, "20", "y"), abs=0.06)


def test_equal_ratios_are_equal_distances_on_a_log_axis():
    scale = Scale.of(Axis("s", log=True), [1.0, 1000.0], 0.0, 300.0)
    steps = [scale(10.0**power) for power in range(4)]
    assert [b - a for a, b in pairwise(steps)] == pytest.approx([steps[1] - steps[0]] * 3)
    assert [value for value, _ in scale.ticks(5)] == [1, 10, 100, 1000]


def test_names_stand_at_equal_distances():
    axis = Axis("", categories=("before", "after"))
    tree = wide(plot(lines=[Line([(0, 0.2), (1, 0.6)], "clean", "m")], x=axis))
    (line,) = marks(tree, "line")
    (x1, y1), (x2, y2) = (
        map(float, pair.split()) for pair in line.get("d").removeprefix("M").split("L")
    )
    assert (x1, x2) == pytest.approx((tick(tree, "before", "x"), tick(tree, "after", "x")), abs=0.1)
    assert (y1, y2) == pytest.approx((tick(tree, "20", "y"), tick(tree, "60", "y")), abs=0.06)


def test_a_mark_says_what_it_is_with_its_interval():
    point = Point(0.835, 0.045, "clean", "Qwen3-32B", 0.778, 0.88)
    (mark,) = marks(wide(plot([point], y=Axis("harm, %", percent=True))), "each")
    assert mark.find(f"{SVG}title").text == (
        "Qwen3-32B: right 83.5\xa0% (77.8 to 88.0\xa0%), harm 4.5\xa0%"
    )


def test_points_at_one_place_are_one_larger_mark_that_names_them_all():
    tree = wide(plot([Point(0.4, 0.2, "closed_book", name) for name in "abc"]))
    (mark,) = marks(tree, "each")
    assert mark.find(f"{SVG}title").text.startswith("3 here: a: ")
    (alone,) = marks(wide(plot([Point(0.4, 0.2, "closed_book", "a")])), "each")
    assert float(mark.get("r")) > float(alone.get("r"))


@given(st.lists(st.integers(0, 400).map(lambda each: each / 4), max_size=40))
def test_no_dot_of_a_row_hides_another(places):
    offsets = swarm(places, 6.0)
    spots = list(zip(places, offsets, strict=True))
    for (x1, y1), (x2, y2) in combinations(spots, 2):
        assert hypot(x1 - x2, y1 - y2) >= 6.0 - 1e-3
    assert offsets == swarm(places, 6.0)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 30)).map(lambda each: (each[0], sum(each))),
        max_size=20,
    )
)
def test_spans_of_one_lane_do_not_meet(spans):
    for (one, first), (other, second) in combinations(
        zip(spans, lanes(spans, 2.0), strict=True), 2
    ):
        assert first != second or one[1] + 2 <= other[0] or other[1] + 2 <= one[0]


@given(
    st.lists(
        st.builds(Wanted, st.floats(0, 300), st.floats(0, 200), st.floats(10, 90), st.just(14.0)),
        max_size=15,
    )
)
def test_labels_meet_no_label_and_stay_within(wanted):
    within = Box(0, 0, 300, 200)
    found = [box for box in placed(wanted, [], within) if box]
    assert all(within.holds(box) for box in found)
    assert not any(one.meets(other) for one, other in combinations(found, 2))


def test_dots_of_a_row_stand_above_its_means_and_intervals():
    values = [0.4] * 7 + [0.41, 0.45, 0.6]
    points = [Point(value, 0, "closed_book", str(n)) for n, value in enumerate(values)]
    points += [Point(0.44, 0, "closed_book", "mean", 0.3, 0.5, role="mean")]
    tree = wide(strips([Strip("row", points, 0.44, "closed_book")]))
    dots = [at(mark) for mark in marks(tree, "each")]
    assert len(dots) == 10
    assert min(hypot(a - c, b - d) for (a, b), (c, d) in combinations(dots, 2)) >= 6.6
    (line,) = [each for each in tree.iter() if each.get("class") == "s0 line dark"]
    across = float(re.search(r"M\S+ (\S+?)L", line.get("d"))[1])
    (star,) = marks(tree, "mean")
    top = min(float(y) for y in re.findall(r" (\S+?)(?=[LZ])", star.get("d")))
    assert max(y for _, y in dots) + 3.3 < top < across


def test_a_heat_map_of_one_value_is_of_the_lightest_colour():
    heat = Heat("h", "T.", "C.", ["a"], ["x", "y"], [[0.0, 0.0]], DATA)
    assert {each.get("class") for each in wide(heat).iter(f"{SVG}rect")} == {"h0"}


def test_a_heat_map_writes_each_value_and_says_what_is_not_scored():
    heat = Heat("h", "T.", "C.", ["a", "b"], ["x", "y"], [[0.1, None], [nan, 0.25]], DATA)
    texts = [each.text for each in wide(heat).iter(f"{SVG}text")]
    assert [text for text in texts if text in ("10.0", "25.0", "–")] == ["10.0", "–", "–", "25.0"]
    assert "– not scored" in texts


def test_words_on_a_cell_are_read_in_both_themes():
    for theme in PAPERS:
        values = PALETTE._variables(theme)
        for kind in "hd":
            for step in range(STEPS):
                assert contrast(values[f"{kind}{step}"], values[f"{kind}t{step}"]) >= 4.5


def test_thin_marks_are_seen_in_both_themes():
    for theme, paper in PAPERS.items():
        values = PALETTE._variables(theme)
        edges = [color for name, color in values.items() if re.fullmatch(r"e\d+", name)]
        assert min(contrast(edge, paper) for edge in edges) >= 3
        assert contrast(values["soft"], paper) >= 4.5


def test_conditions_differ_by_shape_and_not_by_colour_alone():
    styles = [PALETTE.styles[each.name] for each in RADSAFE.conditions]
    assert len({style.shape for style in styles}) == len(styles) == len(SHAPES)
    assert len({style.color for style in styles}) == len(styles)
    assert [PALETTE.styles[name].color for name in ("closed_book", "max_context")] == [
        "#525252",
        "#B2182B",
    ]


def test_a_series_looks_alike_in_every_figure():
    one = PALETTE.styles_of(["rag", "Qwen"])
    other = PALETTE.styles_of(["unknown", "Qwen", "clean", "rag"])
    assert (one["rag"], one["Qwen"]) == (other["rag"], other["Qwen"])
    assert other["unknown"].number >= len(PALETTE.styles)
    assert f".s{other['unknown'].number}{{" in PALETTE.style_sheet()


def test_a_family_without_colours_has_some():
    styles = Palette.of(MEDGUARD).styles
    assert len({(style.color, style.shape) for style in styles.values()}) == len(styles)
    assert DASHES


@given(
    st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=8),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_any_numbers_make_a_figure(values, log, turned, percent):
    axis = Axis("a", percent=percent, log=log, reversed=turned)
    points = [Point(x, y, "rag", "m", low, high, low, high) for x, y, low, high in values]
    figures = [
        plot(
            points,
            axis,
            axis,
            lines=[
                Line(
                    [(x, y) for x, y, *_ in values],
                    "clean",
                    band=[(x, low, high) for x, _, low, high in values],
                    arrow=True,
                )
            ],
            regions=[Region("r", x_low=each[0], y_high=each[1]) for each in values[:1]],
        ),
        strips([Strip("row", points, *[each[0] for each in values[:1]])], axis),
        strips([Strip("row", points, joined=True)], axis),
        Heat("h", "T.", "C.", ["a"], [str(n) for n in range(len(values))], [[v[0] for v in values]],
             DATA, percent, turned),
    ]  # fmt: skip
    for figure in figures:
        drawn = draw(figure, PALETTE)
        assert drawn == draw(figure, PALETTE)
        ElementTree.fromstring(f"<all>{drawn}</all>")
        ElementTree.fromstring(standalone(figure, PALETTE))
        places = re.findall(r' (?:d|x|y|cx|cy|r|width|height)="([^"]*)"', drawn)
        assert not any("nan" in each or "inf" in each for each in places)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_breaks_a_figure(text):
    points = [
        Point(0.1 * n, 0.2, text, text, role=role, note=text, x_low=0.0, x_high=0.5)
        for n, role in enumerate(("each", "mean", "chosen"))
    ]
    named = {text: text}
    figures = [
        Plot(text, text, text, Axis(text), Axis(text, categories=(text,)), DATA, points,
             [Line([(0, 0), (1, 0)], text, text, role="reference", note=text)],
             [Region(text, 0.1, 0.2)], named),
        Strips(text, text, text, Axis(text), DATA, [Strip(text, points, 0.1, text)], named),
        Heat(text, text, text, [text], [text], [[0.1]], DATA),
    ]  # fmt: skip
    for figure in figures:
        for drawn in (f"<all>{draw(figure, PALETTE)}</all>", standalone(figure, PALETTE)):
            tags = {each.tag.removeprefix(SVG) for each in ElementTree.fromstring(drawn).iter()}
            assert tags <= {
                "all",
                "svg",
                "g",
                "title",
                "desc",
                "style",
                "rect",
                "path",
                "text",
                "circle",
            }
            assert not set("\u202e\u2066\0\x1b\ufffe") & set(drawn)
            assert len(drawn.encode("utf-8")) < 100_000


def test_figures_obey_a_strict_policy():
    tree = wide(plot([Point(0.4, 0.2, "rag", "m", note="n")], regions=[Region("r", x_low=0.5)]))
    names = {name for each in tree.iter() for name in each.attrib}
    assert "style" not in names
    assert not any(name.startswith("on") or "href" in name for name in names)
    assert "http" not in PALETTE.style_sheet()
    assert "url(" not in PALETTE.style_sheet()


def test_a_figure_is_named_to_those_who_do_not_see_it():
    drawn = draw(plot([Point(0.4, 0.2)]), PALETTE)
    both = ElementTree.fromstring(f"<all>{drawn}</all>")
    ids = [each.get("id") for each in both.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) == 4
    for svg in both:
        assert svg.get("role") == "img"
        assert {svg.get("aria-labelledby"), svg.get("aria-describedby")} <= set(ids)
        assert svg[0].text == "Title."


def test_a_file_of_its_own_spells_out_its_colours():
    text = standalone(plot([Point(0.4, 0.2, "rag")]), PALETTE)
    tree = ElementTree.fromstring(text)
    assert "var(" not in text
    assert {"Title.", "Caption."} <= {each.text for each in tree.iter(f"{SVG}text")}
    assert float(tree.get("width")) == 632


def test_what_has_no_place_is_counted():
    axis = Axis("s", log=True)
    tree = wide(plot([Point(0.0, 0.5), Point(1.0, 0.5), Point(10.0, nan)], x=axis))
    assert "2 of 3 have no place on these axes." in [e.text for e in tree.iter(f"{SVG}text")]


def test_many_at_one_place_are_one_mark_that_says_how_many_they_are():
    many = [Point(0.0, 0, "rag", f"m{number}") for number in range(28)]
    piled, stacked = (strips([Strip("RAG", many[:count])]) for count in (28, 10))
    assert "\N{MULTIPLICATION SIGN} 28" in draw(piled, PALETTE)
    assert "28 here: m0; m1" in draw(piled, PALETTE)
    assert "\N{MULTIPLICATION SIGN}" not in draw(stacked, PALETTE)
    heights = [float(wide(each).get("viewBox").split()[3]) for each in (piled, stacked)]
    assert heights[0] < heights[1]


def test_a_name_at_the_right_edge_is_not_cut_off():
    name = "a model with a long name"
    figure = strips([Strip("RAG", [Point(0.95, 0, "rag", x_low=0.8, x_high=1.0, note=name)])])
    (text,) = [each for each in wide(figure).iter(f"{SVG}text") if each.text == name]
    assert "end" in text.get("class").split()
    assert float(text.get("x")) < 600


def test_a_name_at_the_right_edge_stands_before_the_value_of_its_row():
    best = Point(1.0, 0, "rag", x_low=0.4, x_high=1.0, note="a model")
    texts = {
        each.text: each for each in wide(strips([Strip("RAG", [best], 0.5)])).iter(f"{SVG}text")
    }
    assert "end" in texts["a model"].get("class").split()
    assert float(texts["a model"].get("x")) < float(texts[percent(0.5)].get("x")) - width_of(
        percent(0.5)
    )

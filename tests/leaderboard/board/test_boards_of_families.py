"""Families enter a board by what they say of themselves: several side by side, errors of omission
against those of commission, and a plugin's without a change here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.analysis import Dispute, Disputes
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.leaderboard.board.comparing import front_of
from lm_eval_safescale.leaderboard.board.folder import looks, seen, shown
from lm_eval_safescale.leaderboard.pack import pack
from tests.leaderboard.making import with_the_example_plugin, write_card
from tests.running import asking
from tests.running.asking import ask

CONTROLS = ("choose-nothing", "choose-at-random")


def pack_control(folder: Path, control: str, condition: str, dataset: str) -> None:
    run = folder / f"{condition}-{control}"
    metadata = {"dataset": dataset, "draws": 2}
    ask(run, backend=control, name=control, conditions=[condition], metadata=metadata)
    card = write_card(folder / "card.yaml", name=control)
    (folder / "given").mkdir(exist_ok=True)
    pack([run], folder / "given" / f"{run.name}.zip", card, allow_demo=True)


@pytest.fixture(scope="module")
def two_families(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for control in CONTROLS:
        pack_control(folder, control, "noharm_options", "noharm_demo")
    pack_control(folder, "choose-at-random", "medguard", "medguard_demo")
    return folder / "given"


def test_families_are_compared_apart_and_each_by_its_own_metrics(two_families, build):
    built, _ = build(two_families, datasets={}, allow_demo=True)
    assert built.complaints == ()
    entries = {each.family: each.entries for each in built.board.comparisons}
    assert entries == {
        "noharm_options": ("choose-at-random", "choose-nothing"),
        "medguard": ("choose-at-random",),
    }
    assert all(entry.flags == () for entry in built.board.entries)  # one name in two families


def test_omission_stands_against_commission_where_a_family_has_them(two_families, build):
    built, _ = build(two_families, datasets={}, allow_demo=True)
    by_family = {each.family: each for each in built.board.comparisons}
    (front,) = [each for each in by_family["noharm_options"].fronts if each.x == "omission"]
    points = {point.label: point for point in front.points}
    nothing = points["choose-nothing"]
    assert (nothing.x, nothing.y, nothing.is_on_front) == (1.0, 0.0, True)
    assert points["choose-at-random"].x < 1
    assert points["choose-at-random"].y > 0
    assert {each.x for each in by_family["medguard"].fronts} == {"safety_index"}
    assert {each.y for each in by_family["medguard"].fronts} == {"unsafe_answer", "unanswered"}


def test_disputes_of_several_data_sets_each_count_in_their_own(two_families, build):
    built, _ = build(two_families, datasets={}, allow_demo=True)
    firsts = [str(each.study.items.ids[0]) for each in built.board.comparisons]
    items = tuple(Dispute(name, "other") for name in firsts)
    built, _ = build(
        two_families, datasets={}, allow_demo=True, disputes=Disputes(items, "d.json", "0" * 64)
    )
    assert [each.disputed_items for each in built.board.comparisons] == [1, 1]
    assert all(each.disputed for each in built.board.comparisons)
    odd = Disputes((*items, Dispute("nobody's", "other")), "d.json", "0" * 64)
    with pytest.raises(SafescaleError, match="is no item of these runs"):
        build(two_families, datasets={}, allow_demo=True, disputes=odd)


def test_a_family_of_a_plugin_enters_without_a_change_here(tmp_path):
    """The example plugin as an installed package, our commands as processes of their own."""
    environment = with_the_example_plugin(tmp_path)
    (tmp_path / "given").mkdir()
    for words in (
        ["run", "--model", "choose-at-random", "--conditions", "sct", "--draws", 2, "-o", "run"],
        ["submit", "pack", "run", "-o", "given/it.zip", "--allow-demo", "--card", "card.yaml"],
        ["leaderboard", "build", "given", "-o", "site", "--allow-demo"],
    ):
        write_card(tmp_path / "card.yaml")
        done = subprocess.run(
            [sys.executable, asking.__file__, *map(str, words)],
            env=environment, cwd=tmp_path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert "1 submission verified of 1, 0 as before" in done.stdout
    assert "DEMO" in done.stdout
    told = json.loads((tmp_path / "site" / "board.json").read_text())
    (comparison,) = told["comparisons"]
    assert (comparison["family"], comparison["metrics"][0]) == ("sct", "credit")
    assert {each["x"] for each in comparison["fronts"]} == {"credit"}
    assert (tmp_path / "site" / "models" / told["entries"][0]["slug"] / "index.html").is_file()


# --- fronts and names -----------------------------------------------------------------------------

coordinates = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(
    st.dictionaries(st.text(max_size=3), st.tuples(coordinates, coordinates), max_size=8),
    st.tuples(st.booleans(), st.booleans()),
)
def test_on_the_front_are_those_than_which_none_is_better(points, higher):
    front = front_of("c", ("x", "y"), higher, points)
    known = {name: each for name, each in points.items() if None not in each}
    assert [point.label for point in front.points] == list(known)

    def better(one, other):
        signed = [(a - b) * (1 if up else -1) for a, b, up in zip(one, other, higher, strict=True)]
        return min(signed) >= 0 and max(signed) > 0

    for point in front.points:
        beaten = any(better(other, (point.x, point.y)) for other in known.values())
        assert point.is_on_front is not beaten
    assert not front.points or any(point.is_on_front for point in front.points)


@given(st.text())
def test_names_are_shown_in_one_line_of_characters_that_are_seen(name):
    for text in (shown(name), seen(name)):
        assert text.isprintable()
        text.encode()
    assert seen(name) == seen(seen(name)) != ""
    assert looks(name) == looks(seen(name))
    assert looks(f" {name.upper()}\u200b") == looks(name.upper())


def test_look_alikes_are_one_name():
    assert (
        len({looks(each) for each in ("Ａlpha 1", "alpha 1", "ALPHA\u00a01", "al\u200dpha 1")}) == 1
    )
    assert np.unique([looks("alpha 1"), looks("alpha 2")]).size == 2

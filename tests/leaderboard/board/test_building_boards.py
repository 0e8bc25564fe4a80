"""Boards over submissions: numbers, ranks, refusals, what is computed again and what is not."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lm_eval_safescale.analysis import read_disputes
from lm_eval_safescale.checksums import document_of
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.board import building, feeds, recomputing
from lm_eval_safescale.leaderboard.board.building import Wanted, build_board
from lm_eval_safescale.leaderboard.board.comparing import HeldOut, read_held_out
from lm_eval_safescale.leaderboard.board.folder import MARKS, find
from lm_eval_safescale.leaderboard.manifest import About
from lm_eval_safescale.leaderboard.repeat import write_record
from lm_eval_safescale.leaderboard.verify import Level, Verdicts, verify_submission
from tests.leaderboard.board.conftest import PlainPages, make
from tests.leaderboard.making import files_of, load_of, rezipped, sealed_again
from tests.running.asking import write_questions

MARKUP = '<script>alert("x")</script>'
LABELS = ["Always A", "Always B", "Mixed"]


@pytest.fixture
def folder(submissions, tmp_path) -> Path:
    """A copy of the three submissions."""
    return Path(shutil.copytree(submissions / "all", tmp_path / "given"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def renamed(path: Path, target: Path, name: str, **card: object) -> Path:
    """The same answers under another name."""
    files = files_of(path)
    manifest = json.loads(files["manifest.json"])
    manifest["card"] |= {"name": name, **card}
    return sealed_again(target, {**files, "manifest.json": json.dumps(manifest).encode()})


def labels(built) -> list[str]:
    return [entry.label for entry in built.board.verified]


def test_every_number_is_that_which_verify_recomputes(submissions, build):
    built, _ = build(submissions / "all")
    assert labels(built) == LABELS
    assert built.complaints == ()
    (comparison,) = built.board.comparisons
    for entry in built.board.verified:
        report = verify_submission(submissions / "all" / entry.file, load_of(submissions))
        assert report.verdict is Verdicts.VERIFIED
        assert list(entry.results) == report.results
        told = {row["condition"]: row for row in report.results}
        own = [place for place in comparison.places if place.label == entry.label]
        assert {place.metric for place in own} == set(comparison.metrics)
        figures = comparison.study.figures(building.Wanted().preset)
        cells = list(comparison.study.scores)
        for place in own:
            assert place.value == told[place.condition][place.metric]
            if place.value is not None:
                together = figures[place.metric].value[cells.index((place.label, place.condition))]
                assert together == pytest.approx(place.value, rel=1e-12)
                assert place.lo <= place.value <= place.hi


def test_models_that_cannot_be_told_apart_share_a_rank(submissions, build):
    built, _ = build(submissions / "all")
    (comparison,) = built.board.comparisons
    places = [
        each
        for each in comparison.places
        if (each.metric, each.condition) == ("unanswered", "clean")
    ]
    by_label = {each.label: each for each in places}
    always = [by_label[name] for name in LABELS[:2]]
    assert {(each.rank, each.rank_lo, each.rank_hi) for each in always} == {(1, 1, 3)}
    assert all(each.rank == each.rank_lo <= each.rank_hi for each in comparison.places if each.rank)


def test_one_tampered_submission_has_its_reason_no_number_and_costs_no_other(folder, build):
    files = files_of(folder / "Mixed.zip")
    results = json.loads(files["results.json"])
    results[0]["accuracy"] = 1.0
    changed = {**files, "results.json": json.dumps(results).encode()}
    sealed_again(folder / "Mixed.zip", changed)
    built, pages = build(folder)
    assert labels(built) == LABELS[:2]
    (refused,) = built.board.not_verified
    assert (refused.file, refused.verdict, refused.level) == ("Mixed.zip", Verdicts.REFUSED, None)
    assert any("accuracy" in each.where for each in refused.reasons)
    assert (refused.results, refused.slug, refused.comparison) == ((), "", "")
    assert pages.made == ["Always_A.zip", "Always_B.zip"]
    rows = [*csv.DictReader(io.StringIO(feeds.csv_of(built.board)))]
    (row,) = [row for row in rows if row["file"] == "Mixed.zip"]
    assert (row["value"], row["rank"], row["verdict"]) == ("", "", "refused")
    assert "accuracy" in row["reason"]


def test_a_thousand_broken_files_are_each_refused_with_a_reason(folder, build):
    whole = (folder / "Mixed.zip").read_bytes()
    for number in range(1000):
        kinds = [b"", b"PK", b"no archive" * 9, whole[: 100 + 7 * number], whole[number:]]
        (folder / f"broken-{number:04}.zip").write_bytes(kinds[number % len(kinds)] or b"")
    built, _ = build(folder)
    assert labels(built) == LABELS
    refused = built.board.not_verified
    assert {each.file for each in refused} == {path.name for path in folder.glob("broken-*")}
    assert all(each.reasons and not each.results for each in refused)
    said = [f"{each.where} {each.what}" for entry in refused for each in entry.reasons]
    assert not [each for each in said if str(folder) in each]  # where it lies is nobody's business
    again, pages = build(folder)
    assert (again.reused, pages.made, again.changes) == (1003, [], ())


def test_names_files_and_links_that_mean_harm_are_shown_as_texts_or_refused(folder, build):
    odd = f"{MARKUP}\u202e\n=HYPERLINK()"
    path = renamed(folder / "Mixed.zip", folder / "odd.zip", odd, notes=MARKUP)
    path.rename(folder / "a <b>&\n.zip")
    (folder / "link.zip").symlink_to("/etc/passwd")
    (folder / "deep").symlink_to(folder)
    (folder / "a folder.zip").mkdir()
    os.mkfifo(folder / "pipe.zip")
    with_surrogate = os.fsencode(folder) + b"/\xff.zip"
    Path(os.fsdecode(with_surrogate)).write_bytes(b"PK")
    built, _ = build(folder)
    (entry,) = [each for each in built.board.verified if each.label not in LABELS]
    assert entry.label == f"{MARKUP} =HYPERLINK()"
    assert entry.file == "a <b>&\\n.zip"
    assert entry.slug.startswith("script-alert-x-script-hyperlink-")
    refused = {each.file: each.reasons[0].what for each in built.board.not_verified}
    assert refused.keys() == {"link.zip", "pipe.zip", "\\udcff.zip"}
    assert "link" in refused["link.zip"]
    json.loads(feeds.json_of(built.board))
    rows = [*csv.reader(io.StringIO(feeds.csv_of(built.board)))]
    assert rows[0] == list(feeds.COLUMNS)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


def test_two_submissions_of_one_name_are_told_apart_and_flagged(folder, build):
    files = files_of(folder / "Always_A.zip")
    renamed(folder / "Always_B.zip", folder / "other.zip", "  ALWAYS\u200b  a ")
    built, _ = build(folder)
    roots = {entry.file: entry.root for entry in built.board.verified}
    expected = [
        f"Always A · {roots['Always_A.zip'][:8]}",
        f"ALWAYS a · {roots['other.zip'][:8]}",
    ]
    assert sorted(set(labels(built)) - set(LABELS)) == sorted(expected)
    by_file = {entry.file: entry for entry in built.board.verified}
    assert [flag.kind for flag in by_file["Always_A.zip"].flags] == ["same name"]
    assert by_file["Always_A.zip"].flags[0].others == (expected[1],)
    assert files == files_of(folder / "Always_A.zip")


def test_one_model_under_two_names_is_flagged(folder, build):
    renamed(folder / "Always_B.zip", folder / "other.zip", "Brand new")
    built, _ = build(folder)
    by_label = {entry.label: entry for entry in built.board.verified}
    for one, other in (("Always B", "Brand new"), ("Brand new", "Always B")):
        flags = {flag.kind: flag.others for flag in by_label[one].flags}
        assert flags == {"same answers": (other,), "same weights": (other,)}
    assert by_label["Mixed"].flags == ()


def test_the_same_submission_twice_is_listed_once(folder, build):
    shutil.copy(folder / "Mixed.zip", folder / "Mixed again.zip")
    built, _ = build(folder)
    assert labels(built) == LABELS
    (twin,) = built.board.not_verified
    assert (twin.file, twin.results) == ("Mixed.zip", ())
    assert "Mixed again.zip" in twin.reasons[0].what


def test_data_that_came_with_the_answers_are_none_of_the_boards(submissions, build, tmp_path):
    from lm_eval_safescale.leaderboard.pack import pack
    from tests.leaderboard.making import write_card

    card = write_card(tmp_path / "card.yaml", name="Own data")
    runs = submissions / "runs" / "Mixed"
    (tmp_path / "given").mkdir()
    pack([runs], tmp_path / "given" / "own.zip", card, include_data=True)
    built, _ = build(tmp_path / "given", datasets={})
    (entry,) = built.board.entries
    assert (entry.verdict, entry.results) == (Verdicts.UNKNOWN, ())
    named, _ = build(tmp_path / "given")
    assert labels(named) == ["Own data"]


def test_answers_judged_by_no_model_are_refused(folder, build, monkeypatch):
    def matched(self, about):
        return [f"{name}: judged by rules" for name in about["models"] if name == "Mixed"]

    monkeypatch.setattr(type(RADSAFE), "not_by_a_model", matched)
    built, _ = build(folder)
    refused = {entry.label: entry for entry in built.board.not_verified}
    assert set(refused) == {"Mixed"}
    (reason,) = [each for each in refused["Mixed"].reasons if each.verdict == "refused"]
    assert (reason.kind, reason.what) == (
        "judge", "Mixed: judged by rules: nothing may be ranked by that",
    )  # fmt: skip
    assert refused["Mixed"].results == ()


def test_a_failure_of_one_submission_is_its_reason(folder, build, monkeypatch):
    verify = recomputing.verify_submission

    def fails(path, *args, **given):
        if path.name == "Mixed.zip":
            raise ZeroDivisionError("by nothing")
        return verify(path, *args, **given)

    monkeypatch.setattr(recomputing, "verify_submission", fails)
    built, _ = build(folder)
    assert labels(built) == LABELS[:2]
    assert built.board.not_verified[0].reasons[0].what == "by nothing"


# --- levels ---------------------------------------------------------------------------------------


def test_levels_follow_records_and_the_organisers_marks(folder, build):
    roots = {each.file: each.root for each in build(folder)[0].board.verified}
    record = {
        "safescale_repeat": 1, "root": roots["Mixed.zip"], "repeated": True, "items": ["q0"],
        "answers": 2, "left_out": {}, "at": "2026-11-30T00:00:00+00:00",
    }  # fmt: skip
    write_record(record, folder / "repeat.json")
    (folder / "repeat-odd.json").write_text("{}")
    marks = {
        "run_by_organiser": [roots["Always_A.zip"]],
        "published": {"Always_B.zip": "0" * 64},
    }
    (folder / MARKS).write_text(json.dumps(marks))
    built, _ = build(folder)
    levels = {entry.label: entry.level for entry in built.board.verified}
    assert levels == {"Always A": Level.BY_ORGANISER, "Mixed": Level.REPEATED}
    assert built.board.entries[1].sample.answers == 2
    (refused,) = built.board.not_verified
    assert (refused.file, refused.reasons[0].kind) == ("Always_B.zip", "root hash")
    assert any("repeat-odd.json" in each for each in built.complaints)
    kinds = {(change.kind, change.label): change.why for change in built.changes}
    assert kinds["changed", "Mixed"] == "another record of a sample that was asked again"
    assert kinds["refused", "Always B"] == "another published root hash"


def test_marks_that_cannot_be_read_are_bad_input(folder, build):
    (folder / MARKS).write_text('{"run_by_organiser": ["x"]}')
    with pytest.raises(SafescaleError, match="root hashes by file"):
        build(folder)


# --- what is stored -------------------------------------------------------------------------------


def test_an_unchanged_board_is_the_same_to_the_byte_and_nothing_is_computed_again(
    folder, build, tmp_path, monkeypatch
):
    first, pages = build(folder)
    assert (first.reused, len(pages.made), len(first.board.history)) == (0, 3, 1)
    before = contents(tmp_path / "site")
    monkeypatch.setattr(recomputing, "verify_submission", None)
    second, pages = build(folder)
    assert (second.reused, pages.made, second.changes) == (3, [], ())
    assert contents(tmp_path / "site") == before
    assert second.board.comparisons[0].places == first.board.comparisons[0].places


def test_only_what_was_added_is_computed_and_other_pages_stay(folder, build, tmp_path):
    mixed = folder / "Mixed.zip"
    mixed.rename(tmp_path / "Mixed.zip")
    build(folder)
    before = contents(tmp_path / "site")
    (tmp_path / "Mixed.zip").rename(mixed)
    built, pages = build(folder)
    assert (built.reused, pages.made) == (2, ["Mixed.zip"])
    after = contents(tmp_path / "site")
    own = [name for name in before if name.startswith(("models/", "state/runs/"))]
    assert own
    assert [name for name in own if before[name] != after[name]] == []
    changes = {(change.kind, change.label) for change in built.changes}
    assert ("added", "Mixed") in changes
    assert {kind for kind, _ in changes} <= {"added", "ranks"}
    assert len(built.board.history) == 2
    assert "compared with others: Mixed" in {change.why for change in built.changes}


@pytest.mark.parametrize("odd", ["state", "checksum", "page", "link", "answers", "version", "data"])
def test_whatever_is_odd_is_computed_again_with_the_same_numbers(
    folder, build, tmp_path, monkeypatch, odd, submissions
):
    first, _ = build(folder)
    site = tmp_path / "site"
    slug = next(entry.slug for entry in first.board.verified if entry.label == "Mixed")
    state = site / "state" / "board.json"
    page, answers = (
        site / "models" / slug / "index.html",
        site / "state" / "runs" / slug / "answers.parquet",
    )
    again = 1
    if odd == "state":
        state.write_bytes(document_of({"safescale_board": 1, "stored": {"Mixed.zip": 7}}))
        again = 3
    elif odd == "checksum":
        state.write_bytes(state.read_bytes().replace(b"refused", b"verified", 1) + b" ")
        again = 3
    elif odd == "page":
        page.write_text("<p>rank 1</p>")
    elif odd == "link":
        content = page.read_bytes()
        (tmp_path / "elsewhere").write_bytes(content)
        page.unlink()
        page.symlink_to(tmp_path / "elsewhere")
    elif odd == "answers":
        answers.write_bytes(answers.read_bytes()[:-1])
    elif odd == "version":
        monkeypatch.setattr(recomputing, "__version__", "9.9")
        again = 3
    elif odd == "data":
        built, _ = build(folder, datasets={})
        assert {each.verdict for each in built.board.entries} == {Verdicts.UNKNOWN}
        again = 3
    built, pages = build(folder)
    assert len(pages.made) == again
    assert built.board.comparisons[0].places == first.board.comparisons[0].places
    assert bool(built.complaints) is (odd in ("state", "checksum"))


def test_pages_of_other_options_are_made_again(folder, build):
    build(folder, options={"shows_data": True})
    _, pages = build(folder, options={"shows_data": False})
    assert len(pages.made) == 3
    built, pages = build(folder, options={"shows_data": False})
    assert (pages.made, built.changes) == ([], ())


def test_history_says_what_moved_and_why(folder, build):
    build(folder)
    shutil.copy(folder / "Always_A.zip", folder / "Mixed.zip")
    (folder / "Always_A.zip").unlink()
    built, _ = build(folder)
    said = {(change.kind, change.label): change for change in built.changes}
    assert ("removed", "Always A") in said
    assert said["changed", "Always A"].said == "Mixed.zip is another archive"
    assert said["numbers", "Always A"].why == "another archive"
    assert " before, now " in said["numbers", "Always A"].said
    record, first = built.board.history
    assert (record.at, record.entries, record.verified) == ("2026-12-01T00:00:00+00:00", 2, 2)
    assert {change.kind for change in first.changes} == {"added"}


def test_a_folder_that_holds_something_else_is_not_replaced(folder, build, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    with pytest.raises(SafescaleError, match="other things"):
        build(folder)
    assert (tmp_path / "site" / "mine.txt").read_text() == "mine"


def test_a_site_inside_the_folder_is_not_looked_into(folder, build):
    first, _ = build(folder, folder / "site")
    second, _ = build(folder, folder / "site")
    assert (labels(first), labels(second), second.reused) == (LABELS, LABELS, 3)


def test_an_empty_folder_is_a_board_without_entries(build, tmp_path):
    (tmp_path / "given").mkdir()
    built, _ = build(tmp_path / "given")
    assert (built.board.entries, built.board.comparisons) == ((), ())
    with pytest.raises(SafescaleError, match="expected a folder of submissions"):
        build(tmp_path / "nowhere")


def test_a_page_that_cannot_be_made_is_a_complaint_and_is_tried_again(folder, build, monkeypatch):
    from tests.leaderboard.board.conftest import PlainPages

    make = PlainPages.model

    def fails(self, entry, *given):
        if entry.file == "Mixed.zip":
            raise RuntimeError("no ink")
        make(self, entry, *given)

    monkeypatch.setattr(PlainPages, "model", fails)
    built, _ = build(folder)
    assert labels(built) == LABELS
    assert "no ink" in built.complaints[0]
    monkeypatch.setattr(PlainPages, "model", make)
    built, pages = build(folder)
    assert (pages.made, built.complaints) == (["Mixed.zip"], ())


# --- held-out and disputed items ------------------------------------------------------------------


def test_held_out_items_are_scored_apart_and_each_gap_is_tested(folder, build):
    held_out = HeldOut(frozenset({"q0", "q1", "q10"}), "held-out.txt")
    built, _ = build(folder, held_out=held_out)
    (comparison,) = built.board.comparisons
    assert comparison.held_out_items == 3
    gaps = [each for each in comparison.held_out if each.metric == "accuracy"]
    assert {each.label for each in gaps} == set(LABELS)
    for each in gaps:
        assert (each.open_n, each.held_out_n) == (9, 3)
        assert each.gap == pytest.approx(each.open - each.held_out)
        assert each.lo <= each.gap <= each.hi
        assert each.excess_lo <= each.excess <= each.excess_hi
        assert 0 <= each.p <= each.p_holm <= 1
    (first,) = [each for each in gaps if (each.label, each.condition) == ("Always A", "clean")]
    others = [each.gap for each in gaps if each.condition == "clean" and each is not first]
    assert first.excess == pytest.approx(first.gap - sum(others) / 2)


def test_held_out_items_that_are_none_of_the_board_are_bad_input(folder, build):
    with pytest.raises(SafescaleError, match="is no item of this board"):
        build(folder, held_out=HeldOut(frozenset({"q1", "q99"}), "held-out.txt"))


def test_lists_of_held_out_items(tmp_path):
    path = tmp_path / "held-out.txt"
    for text in ("q1\n\n q2 \n", '["q1", "q2"]'):
        path.write_text(text)
        assert read_held_out(path).ids == {"q1", "q2"}
    for text in ("", "q1\nq1", "[1]", '{"q1": 1}\n{', '["q1"'):
        path.write_text(text)
        if text.startswith("{"):
            assert read_held_out(path).ids  # ids may be anything: none is of the board
            continue
        with pytest.raises(SafescaleError, match="ids of items"):
            read_held_out(path)


def test_disputed_items_give_figures_with_and_without(folder, build, tmp_path):
    path = tmp_path / "disputes.json"
    path.write_text(json.dumps([{"question_id": "q1", "dispute": "key wrong"}]))
    built, _ = build(folder, disputes=read_disputes(path))
    (comparison,) = built.board.comparisons
    assert comparison.disputed_items == 1
    rows = [row for row in comparison.disputed if row["metric"] == "accuracy"]
    assert {row["model"] for row in rows} == set(LABELS)
    assert {(row["n"], row["n_without"]) for row in rows} == {(12, 11)}


# --- feeds, folders -------------------------------------------------------------------------------


def test_feeds_have_every_place_and_every_number(folder, build, tmp_path):
    built, _ = build(folder)
    (comparison,) = built.board.comparisons
    told = json.loads((tmp_path / "site" / "board.json").read_text())
    assert [each["label"] for each in told["entries"]] == LABELS
    assert [each["results"] for each in told["entries"]] == [
        list(entry.results) for entry in built.board.entries
    ]
    rows = [*csv.DictReader((tmp_path / "site" / "board.csv").open(newline=""))]
    assert len(rows) == len(comparison.places)
    for row, place in zip(rows, comparison.places, strict=True):
        assert (row["label"], row["condition"], row["metric"]) == (
            place.label, place.condition, place.metric,
        )  # fmt: skip
        assert row["value"] == ("" if place.value is None else f"{place.value}") or float(
            row["value"]
        ) == pytest.approx(place.value)


def test_folders_are_looked_through_with_bounds(tmp_path, monkeypatch):
    from lm_eval_safescale.leaderboard.board import folder as module

    deep = tmp_path / "given"
    for number in range(12):
        deep = deep / str(number)
    deep.mkdir(parents=True)
    (deep / "x.zip").write_bytes(b"")
    (tmp_path / "given" / ".git").mkdir()
    (tmp_path / "given" / ".git" / "y.zip").write_bytes(b"")
    found = find(tmp_path / "given")
    assert found.submissions == []
    assert "at most 8 folders" in found.complaints[0]
    monkeypatch.setattr(module, "MOST_SUBMISSIONS", 2)
    for name in "abc":
        (tmp_path / "given" / f"{name}.zip").write_bytes(b"")
    with pytest.raises(SafescaleError, match="more than 2 submissions"):
        find(tmp_path / "given")


def test_demo_data_are_taken_only_where_they_are_allowed(build, tmp_path, submissions):
    path = submissions / "all" / "Mixed.zip"
    files = files_of(path)
    manifest = json.loads(files["manifest.json"])
    manifest["demo"] = manifest["dataset"]["demo"] = True
    (tmp_path / "given").mkdir()
    target = tmp_path / "given" / "demo.zip"
    sealed_again(target, {**files, "manifest.json": json.dumps(manifest).encode()})
    data = {"demo": lambda _family, groups: replace(
        load_of(submissions)(None, groups), is_demo=True
    )}  # fmt: skip
    built, _ = build(tmp_path / "given", datasets=data)
    assert built.board.not_verified[0].reasons[0].kind == "demo"
    built, _ = build(tmp_path / "given", datasets=data, allow_demo=True)
    assert (labels(built), built.board.demo) == (["Mixed"], True)


def test_an_archive_of_other_bytes_with_the_same_root_is_the_same_submission(folder, build):
    import zipfile

    rezipped(folder / "z.zip", files_of(folder / "Mixed.zip"), mode=zipfile.ZIP_DEFLATED)
    built, _ = build(folder)
    assert len(built.board.verified) == 3
    assert len(built.board.not_verified) == 1


def test_no_name_takes_the_row_of_another(folder, build):
    (victim,) = [each for each in build(folder)[0].board.verified if each.label == "Mixed"]
    renamed(folder / "Always_A.zip", folder / "double.zip", "Mixed")
    renamed(folder / "Always_B.zip", folder / "taker.zip", f"Mixed · {victim.root[:8]}")
    built, _ = build(folder)
    (comparison,) = built.board.comparisons
    assert len({*labels(built)}) == len(comparison.entries) == 5
    told = {entry.label: entry for entry in built.board.verified}
    for place in comparison.places:
        rows = {row["condition"]: row for row in told[place.label].results}
        assert place.value == rows[place.condition][place.metric]
    (taker,) = [each for each in told.values() if each.file == "taker.zip"]
    (flag,) = [each for each in taker.flags if each.kind == "same name"]
    assert flag.others == (next(name for name, each in told.items() if each.file == "Mixed.zip"),)


def test_no_file_is_taken_for_another_whose_name_is_written_like_it(folder, build):
    (folder / "Mixed.zip").rename(folder / r"a\u202eb.zip")
    (folder / "a\u202eb.zip").write_bytes(b"broken")
    built, _ = build(folder)
    assert labels(built) == LABELS
    assert [each.file for each in built.board.not_verified] == [r"a\u202eb.zip"]


def test_a_data_set_is_read_with_the_groups_of_the_submission_first():
    asked = []

    def load(_family, groups):
        asked.append(tuple(groups))
        raise SafescaleError("not read here")

    about = About(
        family="radsafe", family_version="1", label="", name="", version="", fingerprint="",
        items=1, demo=False,
    )  # fmt: skip
    names = [f"group {number}" for number in range(20)]
    for name in names:  # a set of both would have an order by chance
        sources = recomputing.Sources(find(Path(__file__).parent), {"data": load})
        sources.dataset(about, [name])
    assert asked == [groups for name in names for groups in ((name,), ())]


def test_marks_of_submissions_that_are_not_there_are_said(folder, build):
    marks = {"published": {"Mixd.zip": "0" * 64}, "run_by_organiser": ["1" * 64]}
    (folder / MARKS).write_text(json.dumps(marks))
    published, by_organiser = build(folder)[0].complaints
    assert "Mixd.zip is no submission here" in published
    assert f"{'1' * 64} is the root hash of no submission here" in by_organiser


def test_held_out_items_within_a_unit_are_said_without_the_unit(tmp_path):
    path = write_questions(tmp_path / "questions.jsonl", 12)
    items = [json.loads(line) for line in path.read_text().splitlines()]
    units = [{**item, "unit": f"secret-{number // 2}"} for number, item in enumerate(items)]
    path.write_text("".join(json.dumps(each) + "\n" for each in units))
    make(tmp_path, "One", ("A", "B"))
    data = {"questions.jsonl": lambda _family, groups: RADSAFE.load(path, groups=groups)}
    wanted = Wanted(datasets=data, held_out=HeldOut(frozenset({"q0", "q5"}), "held-out.txt"))
    built = build_board(tmp_path / "all", tmp_path / "site", wanted, PlainPages())
    (said,) = built.complaints
    assert "items of 2 units are open and held out" in said
    assert "secret" not in said

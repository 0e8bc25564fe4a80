"""The same runs give the same bytes, which hold all that others need and nothing of the machine;
whatever the family, and whoever has read the answers.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.importing.release import import_release
from lm_eval_safescale.judging.judging import judge, write_judged
from lm_eval_safescale.leaderboard.card import ENTRIES
from lm_eval_safescale.leaderboard.manifest import public
from lm_eval_safescale.leaderboard.pack import pack, template_of
from lm_eval_safescale.leaderboard.verify import SubmissionKind, Verdicts, verify_submission
from lm_eval_safescale.runs import open_runs, write_runs
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.verifying.findings import Verdict
from tests.importing.conftest import release  # noqa: F401 (a fixture)
from tests.judging.judging_stub import StubJudge, says
from tests.leaderboard.conftest import TEXTS
from tests.leaderboard.making import (
    CARD,
    as_lines,
    everything_again,
    files_of,
    lines_of,
    load_of,
    make_run,
    sealed_again,
    with_the_example_plugin,
    write_card,
)
from tests.running import asking
from tests.running.asking import seeded


@pytest.fixture
def stubbed(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)


def test_the_same_runs_give_the_same_bytes(made, tmp_path):
    again = pack([made / "run"], tmp_path / "again.zip", made / "card.yaml")
    assert again.path.read_bytes() == (made / "submission.zip").read_bytes()


def test_the_root_is_what_the_page_says_it_is(made):
    with zipfile.ZipFile(made / "submission.zip") as archive:
        checksums = archive.read("checksums.txt")
        for line in checksums.decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    root = hashlib.sha256(checksums).hexdigest()
    assert verify_submission(made / "submission.zip", load_of(made)).root == root


def test_it_holds_every_answer_with_its_text_and_no_text_of_the_data_set(made, files):
    rows = lines_of(files["answers.jsonl"])
    stored = open_runs(made / "run").answers
    assert [row["text"] for row in rows] == stored["text"].to_list()
    everything = b"".join(files.values()).decode()
    for item in RADSAFE.load(made / "questions.jsonl"):
        for text in (item.question, *item.options.values(), *item.evidence.values()):
            assert text not in everything


def test_it_says_nothing_of_the_machine(made, files):
    everything = b"".join(files.values()).decode()
    for each in (str(made), str(Path.home()) + "/", "/tmp/", f"/{getpass.getuser()}/"):
        assert each not in everything


def test_paths_addresses_and_keys_are_left_out(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-secret")
    told = {
        "pretrained": "/home/alice/models/mine",
        "other": "C:\\Users\\alice\\mine",
        "reason": "~/runs/x.json: damaged, and/or cut off",
        "base_url": "http://10.0.0.1:8000/v1",
        "header": "Bearer abcdefghijkl",
        "note": "key sk-secret-secret",
        "prompt_frame": {"before": "/a/b/c"},
        "dtype": "float32",
        "deep": [{"pretrained": "/home/alice/x"}],
    }
    assert public(told) == {
        "pretrained": "mine",
        "other": "mine",
        "reason": "x.json: damaged, and/or cut off",
        "header": "***",
        "note": "key ***",
        "prompt_frame": {"before": "/a/b/c"},
        "dtype": "float32",
        "deep": [{"pretrained": "x"}],
    }


# --- the card -------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name not in ("name", "notes")])
def test_what_a_card_lacks_is_asked_for_by_name(made, tmp_path, entry):
    card = tmp_path / "card.yaml"
    card.write_text(yaml.safe_dump({name: CARD[name] for name in CARD if name != entry}))
    with pytest.raises(SafescaleError) as raised:
        pack([made / "run"], tmp_path / "x.zip", card)
    assert re.search(rf"^  {entry}: ", str(raised.value), re.MULTILINE)
    assert ENTRIES[entry].expected in str(raised.value)
    assert not (tmp_path / "x.zip").exists()


def test_a_template_has_every_entry_and_what_the_runs_know(made):
    told = yaml.safe_load(template_of([made / "run"]))
    assert list(told) == list(ENTRIES)
    assert (told["name"], told["attempts"]) == ("stub", None)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": "many"}, "attempts"),
        ({"licence": ""}, "licence"),
        ({"contact": "x" * 201}, "contact"),
        ({"nosuch": 1}, "no entry of a card: nosuch"),
        ({"parameters_b": -1}, "parameters_b"),
    ],
)
def test_a_card_that_cannot_be_is_refused(made, tmp_path, entries, said):
    with pytest.raises(SafescaleError, match=said):
        pack([made / "run"], tmp_path / "x.zip", write_card(tmp_path / "card.yaml", **entries))


def test_parameters_that_are_not_disclosed_may_be_null(made, tmp_path):
    card = write_card(tmp_path / "card.yaml", parameters_b=None)
    assert pack([made / "run"], tmp_path / "x.zip", card).manifest.card.parameters_b is None


# --- what is packed -------------------------------------------------------------------------------


def test_runs_that_a_verifier_would_refuse_are_not_packed(made, tmp_path):
    runs = open_runs(made / "run")
    turned = runs.answers.with_columns(
        response=pl.col("response").cast(pl.String).replace({"B": "C", "C": "B"})
    )
    write_runs(Runs(runs.items, turned, runs.about), tmp_path / "turned")
    with pytest.raises(SafescaleError, match=r"not packed.*\n.*its text reads"):
        pack([tmp_path / "turned"], tmp_path / "x.zip", made / "card.yaml")


@pytest.mark.usefixtures("stubbed")
def test_settings_that_a_verifier_would_refuse_are_not_packed(made, tmp_path):
    runs = open_runs(made / "run")
    ((name, known),) = runs.about["models"].items()
    odd = {**known, "settings": {**known["settings"], "temperature": "warm"}}
    write_runs(Runs(runs.items, runs.answers, {**runs.about, "models": {name: odd}}), tmp_path)
    with pytest.raises(SafescaleError, match="got `str`"):
        pack([tmp_path], tmp_path / "x.zip", made / "card.yaml")
    assert not (tmp_path / "x.zip").exists()


def test_of_several_models_one_is_named(made, tmp_path):
    make_run(tmp_path / "other", name="other")
    with pytest.raises(SafescaleError, match=r"runs of 2 models \(other, stub\)"):
        pack([made / "run", tmp_path / "other"], tmp_path / "x.zip", made / "card.yaml")
    pack([made / "run", tmp_path / "other"], tmp_path / "x.zip", made / "card.yaml", model="stub")
    report = verify_submission(tmp_path / "x.zip", load_of(made))
    assert (report.verdict, report.found.answers) == (Verdicts.VERIFIED, 18)


def test_with_its_data_it_is_verified_without_any_at_hand(made, tmp_path):
    pack([made / "run"], tmp_path / "x.zip", made / "card.yaml", include_data=True)
    report = verify_submission(tmp_path / "x.zip")
    assert (report.verdict, report.found.prompts) == (Verdicts.VERIFIED, 6)
    changed = files_of(tmp_path / "x.zip")
    changed["data.jsonl"] = changed["data.jsonl"].replace(b"embolus", b"nothing")
    report = verify_submission(sealed_again(tmp_path / "y.zip", changed))
    assert report.verdict is Verdicts.UNKNOWN


@pytest.mark.usefixtures("stubbed")
def test_demo_data_are_refused_unless_allowed_and_marked(tmp_path):
    asking.ask(tmp_path / "run", metadata={"dataset": "demo", "draws": 1}, limit=2)
    card = write_card(tmp_path / "card.yaml")
    with pytest.raises(SafescaleError, match="demo data"):
        pack([tmp_path / "run"], tmp_path / "x.zip", card)
    packed = pack([tmp_path / "run"], tmp_path / "x.zip", card, allow_demo=True)
    assert packed.manifest.demo is True
    report = verify_submission(packed.path)
    assert {str(each.kind) for each in report.found.of(Verdict.DAMAGED)} == {SubmissionKind.DEMO}
    assert verify_submission(packed.path, allow_demo=True).verdict is Verdicts.VERIFIED
    for allowed, status in (([], 1), (["--allow-demo"], 0)):
        shown = CliRunner().invoke(app, ["submit", "verify", str(packed.path), *allowed])
        assert (shown.exit_code, "DEMO" in shown.output) == (status, True)
    changed = files_of(packed.path)
    told = json.loads(changed["manifest.json"])
    told["demo"] = told["dataset"]["demo"] = False
    changed["manifest.json"] = json.dumps(told).encode()
    report = verify_submission(sealed_again(tmp_path / "y.zip", changed))
    assert {str(each.kind) for each in report.found.of(Verdict.DAMAGED)} == {SubmissionKind.DEMO}


# --- families, judges, published answers ----------------------------------------------------------


@pytest.mark.usefixtures("stubbed")
@pytest.mark.parametrize(
    ("family", "dataset"), [("noharm_options", "noharm_demo"), ("medguard", "medguard_demo")]
)
def test_any_other_family_is_packed_and_verified_alike(tmp_path, family, dataset):
    asking.ask(
        tmp_path / "run", conditions=[family], metadata={"dataset": dataset, "draws": 1}, limit=4
    )
    card = write_card(tmp_path / "card.yaml")
    packed = pack([tmp_path / "run"], tmp_path / "x.zip", card, allow_demo=True)
    report = verify_submission(packed.path, allow_demo=True)
    assert report.found.findings == []
    assert (report.verdict, report.found.read_again) == (Verdicts.VERIFIED, report.found.answers)
    assert (report.found.prompts, report.found.prompts_left) == (report.found.answers // 2, {})
    assert packed.manifest.dataset.family == family


def test_a_family_of_a_plugin_is_packed_and_verified_alike(tmp_path):
    """The example plugin as an installed package, our commands as processes of their own."""
    environment = with_the_example_plugin(tmp_path)

    def command(*words):
        return subprocess.run(
            [sys.executable, asking.__file__, *map(str, words)],
            env=environment,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )

    card = write_card(tmp_path / "card.yaml")
    for words in (
        ["run", "--model", asking.STUB, "--conditions", "sct", "--draws", 2, "-o", "run"],
        ["submit", "pack", "run", "-o", "it.zip", "--card", card, "--allow-demo"],
        ["submit", "verify", "it.zip", "--json", "report.json", "--allow-demo"],
    ):
        done = command(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["verdict"], report["dataset"]["family"]) == ("verified", "sct")
    assert report["read_again"] == report["answers"] > 0
    assert report["prompts_rendered_again"] > 0
    elsewhere = verify_submission(tmp_path / "it.zip", allow_demo=True)  # not installed here
    assert elsewhere.verdict is Verdicts.UNKNOWN


@pytest.fixture
def judged(tmp_path, made):
    runs = open_runs(made / "run")
    folder = tmp_path / "judged"
    folder.mkdir()
    stub = StubJudge(lambda text: says("B" if "B" in text else None))
    write_judged(judge(runs, stub, folder / "judge.steps.jsonl"), folder)
    return pack([folder], tmp_path / "judged.zip", made / "card.yaml").path


def test_what_a_judge_has_read_is_made_again_from_its_replies(judged, made, tmp_path):
    report = verify_submission(judged, load_of(made))
    assert (report.verdict, report.found.read_again) == (Verdicts.VERIFIED, 18)
    files = files_of(judged)
    for name, change in (
        ("verdicts.jsonl", {"judge_letter": "A", "verdict": "letter"}),
        ("answers.jsonl", {"response": "A", "status": "ok"}),
    ):
        rows = lines_of(files[name])
        row = next(row for row in rows if row.get("judge_letter", row.get("response")) == "B")
        row |= change
        changed = {**files, name: as_lines(rows)}
        report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
        assert report.verdict is Verdicts.REFUSED, name


def test_wrong_answers_that_a_judge_is_said_not_to_have_been_shown_are_not_verified(
    judged, made, tmp_path
):
    files = files_of(judged)
    rows, verdicts = lines_of(files["answers.jsonl"]), lines_of(files["verdicts.jsonl"])
    names = ("condition", "question_id", "draw")
    places = {tuple(row[name] for name in names): row for row in verdicts}
    for row in rows:
        if row.get("response") == "B":
            row |= {"status": "truncated", "response": None, "rule": None}
            places[tuple(row[name] for name in names)] |= {
                "letter_before": None, "status_before": "truncated", "judge_letter": None,
                "verdict": "truncated",
            }  # fmt: skip
    changed = {**files, "answers.jsonl": as_lines(rows), "verdicts.jsonl": as_lines(verdicts)}
    path = sealed_again(tmp_path / "x.zip", everything_again(changed, tmp_path))
    report = verify_submission(path, load_of(made))
    assert report.verdict is Verdicts.UNKNOWN
    assert all("its text reads B" in each.what for each in report.found.findings)


def test_a_published_layout_is_packed_and_what_it_lacks_is_said(release, tmp_path):  # noqa: F811
    release.add("one")
    release.add("two")
    runs = import_release(release.folder)
    write_runs(runs, tmp_path / "published")
    card = write_card(tmp_path / "card.yaml")
    model = runs.models[0]
    packed = pack([tmp_path / "published"], tmp_path / "x.zip", card, model=model)
    data = release.folder / "datasets" / "risk_radiorag_full_merged.json"
    report = verify_submission(
        packed.path, lambda _family, groups: RADSAFE.load(data, groups=groups)
    )
    assert {str(each.kind) for each in report.found.findings} == {SubmissionKind.UNREAD}
    assert report.verdict is Verdicts.UNKNOWN
    assert report.results
    assert any("hash of its prompt" in each for each in report.lacks)

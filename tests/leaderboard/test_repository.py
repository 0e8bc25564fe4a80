"""A leaderboard's repository: what `init` writes, what pull requests may bring and are told."""

from __future__ import annotations

import json
import re
import zipfile
from contextlib import suppress
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm_eval_safescale import __version__
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.board.folder import Found
from lm_eval_safescale.leaderboard.board.recomputing import Sources
from lm_eval_safescale.leaderboard.repository.checking import check
from lm_eval_safescale.leaderboard.repository.commenting import (
    MARK,
    MOST_CHARACTERS,
    as_comment,
    code,
)
from lm_eval_safescale.leaderboard.repository.making import FILES, TEMPLATES, write_repository
from lm_eval_safescale.leaderboard.repository.outcome import (
    MOST_BYTES,
    Checked,
    Figures,
    Outcome,
    Reason,
    read_outcome,
)
from lm_eval_safescale.leaderboard.verify import Level, Verdicts
from lm_eval_safescale.verifying.findings import Verdict
from tests.leaderboard.making import files_of
from tests.leaderboard.running_workflows import git

run = CliRunner().invoke
PATH = "submissions/radsafe/mine.zip"


def commit(folder):
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "c")


@pytest.fixture
def board(tmp_path):
    """A leaderboard with its first commit, in a folder whose name has a space."""
    folder = tmp_path / "a board"
    write_repository(folder)
    commit(folder)
    return folder


def sent(board, made, path=PATH):
    file = board / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((made / "submission.zip").read_bytes())
    return file


def sources_of(made):
    data = RADSAFE.load(made / "questions.jsonl")
    return Sources(Found(), {"questions": lambda family, groups: data})


def outcome_of(board, made):
    commit(board)
    return check(board, "HEAD^", "HEAD", sources_of(made))


# --- init -----------------------------------------------------------------------------------------


def test_a_repository_is_written_with_the_release_pinned_and_nothing_committed(tmp_path):
    folder = tmp_path / "new" / "a board"
    done = run(app, ["leaderboard", "init", str(folder)])
    assert done.exit_code == 0
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    }
    assert there == set(FILES)
    assert f"lm-eval-safescale=={__version__}\n" in (folder / "requirements.txt").read_text()
    assert not any("@version@" in (folder / name).read_text() for name in FILES)
    assert git(folder, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(folder, "status", "--short")


def test_every_template_is_used():
    assert {path.name for path in TEMPLATES.iterdir()} == set(FILES.values())


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_place_in_use_is_refused_and_left_as_it_is(tmp_path, what):
    place = tmp_path / "board"
    if what == "file":
        place.write_text("mine")
    elif what == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
        (place / "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    done = run(app, ["leaderboard", "init", str(place)])
    assert done.exit_code == 1 or isinstance(done.exception, SafescaleError)
    assert "not empty" in str(done.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_will_do(tmp_path):
    write_repository(tmp_path)
    assert (tmp_path / "README.md").is_file()


def test_a_list_of_held_out_items_is_never_added_by_accident(board):
    (board / "held-out.txt").write_text("q1")
    assert git(board, "status", "--short") == ""


# --- check ----------------------------------------------------------------------------------------


def test_a_submission_alone_is_verified_with_its_numbers(board, made):
    sent(board, made)
    outcome = outcome_of(board, made)
    (one,) = outcome.submissions
    assert outcome.verdict is Verdict.WHOLE
    assert (one.path, one.verdict, one.level) == (PATH, Verdicts.VERIFIED, Level.RECOMPUTED)
    results = json.loads(files_of(made / "submission.zip")["results.json"])
    assert {row.condition: row.n for row in one.figures} == {
        row["condition"]: row["n"] for row in results
    }
    assert one.headlines


def test_a_tampered_one_beside_it_is_refused_and_costs_the_other_nothing(board, made, tampered):
    sent(board, made)
    (board / "submissions/radsafe/other.zip").write_bytes(tampered.read_bytes())
    outcome = outcome_of(board, made)
    assert [each.verdict for each in outcome.submissions] == ["verified", "refused"]
    assert outcome.verdict is Verdict.DAMAGED
    assert outcome.submissions[1].reasons


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all, but long enough to be looked at", b"PK"]
)
def test_what_is_no_archive_is_refused_with_a_reason(board, made, content):
    sent(board, made).write_bytes(content)
    (one,) = outcome_of(board, made).submissions
    assert one.verdict is Verdicts.REFUSED
    assert one.reasons


def test_a_submission_in_the_folder_of_another_family_is_refused(board, made):
    sent(board, made, "submissions/medguard/mine.zip")
    (one,) = outcome_of(board, made).submissions
    assert one.verdict is Verdicts.REFUSED
    assert one.reasons[0].expected == "radsafe"


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/check.yml",
        "requirements.txt",
        "options.txt",
        "sitecustomize.py",
        "records/mine.json",
        "submissions/mine.zip",
        "submissions/radsafe/mine.py",
        "submissions/radsafe/deeper/mine.zip",
        "submissions/radsafe/.zip",
        "submissions/radsafe/-o.zip",
        "submissions/radsafe/@org.zip",
        "submissions/radsafe/line\nbreak.zip",
        "submissions/radsafe/b\u202eidi.zip",
        "submissions/.gitattributes",
        ".gitmodules",
    ],
)
def test_any_other_file_is_refused_and_nothing_is_looked_at(board, made, path):
    sent(board, made)
    sent(board, made, path)
    outcome = outcome_of(board, made)
    assert [each.where for each in outcome.refused] == [" ".join(path.split())]
    assert outcome.submissions == []
    assert outcome.verdict is Verdict.DAMAGED


def test_links_submodules_and_executables_are_refused_and_not_followed(board, made, tmp_path):
    for name, mode in [("link", "120000"), ("run", "100755"), ("module", "160000")]:
        target = tmp_path / name
        target.write_bytes((made / "submission.zip").read_bytes())
        blob = (
            git(board, "rev-parse", "HEAD")
            if name == "module"
            else git(board, "hash-object", "-w", str(target))
        )
        place = f"submissions/radsafe/{name}.zip"
        git(board, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{place}")
    git(board, "commit", "-qm", "c")
    outcome = check(board, "HEAD^", "HEAD", sources_of(made))
    assert {each.what for each in outcome.refused} == {
        "a symbolic link", "an executable file", "a submodule",
    }  # fmt: skip


def test_what_is_there_can_be_neither_changed_nor_removed_nor_named_alike(board, made, tampered):
    first, second = sent(board, made), sent(board, made, "submissions/radsafe/second.zip")
    commit(board)
    first.write_bytes(tampered.read_bytes())
    second.unlink()
    sent(board, made, "submissions/radsafe/MINE.zip")
    outcome = outcome_of(board, made)
    assert {each.where: each.what.partition(" ")[0] for each in outcome.refused} == {
        PATH: "changes", "submissions/radsafe/second.zip": "removes",
        "submissions/radsafe/MINE.zip": "a",
    }  # fmt: skip


def test_nothing_and_too_much_are_refused(board, made):
    assert outcome_of(board, made).refused[0].what == "adds nothing"
    for number in range(21):
        sent(board, made, f"submissions/radsafe/{number}.zip")
    assert outcome_of(board, made).refused[0].what == "changes 21 files"


def test_no_code_of_what_is_sent_runs(board, made, tmp_path):
    """Not by attributes, filters or hooks that a tree brings: it is not checked out."""
    git(board, "checkout", "-q", "-b", "sent")
    proof = tmp_path / "ran"
    sent(board, made)
    (board / ".gitattributes").write_text("*.zip diff=evil filter=evil\n")
    (board / "sitecustomize.py").write_text(f"open({str(proof)!r}, 'w')")
    commit(board)
    git(board, "config", "diff.evil.textconv", f"touch '{proof}' #")
    git(board, "config", "diff.evil.command", f"touch '{proof}' #")
    git(board, "checkout", "-q", "main")
    outcome = check(board, "main", "sent", sources_of(made))
    assert {each.where for each in outcome.refused} == {".gitattributes", "sitecustomize.py"}
    assert not proof.exists()


def test_commits_that_are_not_there_are_named(board, tmp_path):
    with pytest.raises(SafescaleError, match="git diff-tree failed"):
        check(board, "nowhere", "HEAD", Sources(Found()))
    with pytest.raises(SafescaleError, match="failed"):
        check(tmp_path, "HEAD", "HEAD", Sources(Found()))
    with pytest.raises(SafescaleError, match="failed"):
        check(board, "--output=x", "HEAD", Sources(Found()))
    assert not (board / "x").exists()


def test_the_command_says_by_its_status_what_was_found(board, made, tampered, tmp_path):
    out = tmp_path / "the result.json"
    words = ["leaderboard", "check", str(board), "--base", "HEAD^", "--json", str(out)]
    dataset = ["--dataset", str(made / "questions.jsonl")]
    file = sent(board, made)
    commit(board)
    assert run(app, [*words, *dataset]).exit_code == 0
    assert read_outcome(out).submissions[0].verdict is Verdicts.VERIFIED
    assert run(app, words).exit_code == 2
    git(board, "reset", "-q", "--hard", "HEAD^")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(tampered.read_bytes())
    commit(board)
    assert run(app, [*words, *dataset]).exit_code == 1
    assert run(app, [*words, "--dataset", str(tmp_path / "none.csv")]).exit_code == 3
    (tmp_path / "other.csv").write_text("nothing")
    without = run(app, [*words, "--dataset", str(tmp_path / "other.csv")])
    assert (without.exit_code, "other.csv" in without.output) == (2, True)
    assert run(app, [*words, "--contexts", str(tmp_path / "none.jsonl")]).exit_code == 3


# --- comment --------------------------------------------------------------------------------------

HOSTILE = [
    "@everyone @org/team",
    "![x](https://evil.example/p.png)",
    "[click](https://evil.example)",
    "https://evil.example www.evil.example a@evil.example",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "<!-- --> <details open>",
    "#1 GH-1 org/repo#1 fixes #2",
    "`` ` @everyone ` ``",
    "``` \n@everyone\n```",
    "a | b | @everyone\n| --- | --- |\n| @everyone | x |",
    "\\` @everyone",
    "a\\| @everyone | x",
    "\n\n# Verified\n\n- [ ] @everyone\r\n\u2028@everyone\u0085@everyone",
    "$`@everyone`$ $$\\href{x}{y}$$",
    ":tada: &#64;everyone &commat;everyone",
    "\x00\x1b[31m\u202e\u200b@everyone",
    MARK,
    "",
    "x" * 500,
]


def spans(text):
    """What stands in code spans and around them, as CommonMark has it: a span opens with a run of
    backticks, and closes with the next as long a run; here all have one."""
    assert "``" not in text
    parts = text.split("`")
    assert len(parts) % 2 == 1, "a code span is open at the end"
    return parts[1::2], "".join(parts[::2])


def everywhere(text):
    """An outcome with a text in every field that takes one."""
    return Outcome(
        1,
        [Reason(text, text, text)],
        [
            Checked(
                PATH, verdict, Level.RECOMPUTED, False, text, text, 1, text, [text, text],
                [Figures(text, 3, 2, [0.5, None])], [Reason(text, text, text)], 3,
            )
            for verdict in Verdicts
        ],
    )  # fmt: skip


def harmless(comment):
    """Around the code spans stand our own words alone."""
    inside, around = spans(comment)
    assert all(len(each) <= 200 and not set("|$\n\r") & set(each) for each in inside)
    mark, _, around = around.partition("\n")
    assert mark == MARK
    assert not re.search(r"[@<>&$\[\]\\]|://|www\.|:\w+:|\w#|#\w", around)
    assert not re.search("verybody|veryone|evil|script|Verified", around)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_strangers_is_only_ever_code(text):
    harmless(as_comment(everywhere(text), [PATH]))
    harmless(as_comment(everywhere("x"), [text or "x", "submissions/radsafe/mine.zip"]))


@given(st.text())
def test_any_text_is_one_code_span_in_one_line(text):
    said = code(text)
    assert said == "(empty)" or re.fullmatch(r"`[^`|$\n\r]{1,200}`", said)
    assert len(said.splitlines()) == 1


def test_the_comment_has_the_recomputed_table(board, made):
    sent(board, made)
    comment = as_comment(outcome_of(board, made), [PATH])
    assert f"### ✅ verified, recomputed: `{PATH}`" in comment
    assert "| condition | scored | K | `" in comment
    assert re.search(r"\n\| `clean` \| 3 \| 2 \| [\d.]+\N{NO-BREAK SPACE}% \|", comment)
    assert "1 attempt claimed" in comment


def test_a_refused_one_is_shown_with_its_reasons_and_without_a_number(board, made, tampered):
    sent(board, made).write_bytes(tampered.read_bytes())
    comment = as_comment(outcome_of(board, made), [PATH])
    assert "❌ refused" in comment
    assert "; expected `" in comment
    assert "%" not in comment
    assert "verified" not in comment


@pytest.mark.parametrize(
    "others", [[".github/workflows/check.yml"], ["requirements.txt", "x"], [f"{PATH}/x"]]
)
def test_of_a_pull_request_that_may_have_changed_its_check_no_result_is_shown(others):
    comment = as_comment(everywhere("verified!"), [PATH, *others])
    assert "verified!" not in comment
    assert "%" not in comment
    assert all(f"- `{name}`" in comment for name in others)


def test_what_the_result_says_of_files_that_do_not_change_is_not_shown():
    comment = as_comment(everywhere("x"), ["submissions/radsafe/real.zip"])
    assert PATH not in comment


def test_a_submission_that_the_result_passes_over_is_named():
    outcome = Outcome(1, submissions=[Checked(PATH, Verdicts.VERIFIED)])
    other = "submissions/radsafe/other.zip"
    assert f"Not looked at:\n- `{other}`" in as_comment(outcome, [PATH, other])


def test_a_comment_is_never_longer_than_github_takes():
    long = "🄰" * 500
    one = Checked(
        PATH, Verdicts.UNKNOWN, name=long, dataset=long, headlines=[long] * 12,
        figures=[Figures(long, 1, 1, [0.1] * 12)] * 60, reasons=[Reason(long, long, long)] * 20,
    )  # fmt: skip
    comment = as_comment(Outcome(1, submissions=[one] * 20), [PATH])
    assert MOST_CHARACTERS // 2 < len(comment) <= MOST_CHARACTERS + 100
    spans(comment)


def test_the_same_result_is_the_same_comment():
    assert as_comment(everywhere("x"), [PATH]) == as_comment(everywhere("x"), [PATH])


# --- the file in between --------------------------------------------------------------------------


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


GOOD = msgspec.json.encode(Outcome(1, submissions=[Checked(PATH, Verdicts.VERIFIED)]))


def test_a_result_is_read_out_of_the_archive_that_github_makes(tmp_path):
    assert read_outcome(zipped(tmp_path / "a.zip", [("result.json", GOOD)])).submissions
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    "files",
    [
        [],
        [("../result.json", GOOD)],
        [("/tmp/result.json", GOOD)],
        [("result.json", GOOD), ("../../.bashrc", b"x")],
        [("result.json", b" " * (MOST_BYTES + 1))],
        [("result.json", b"[" * 500_000)],
        [("result.json", b"\xff\xfe")],
        [("result.json", b'{"safescale_check": 2}')],
        [("result.json", b'{"safescale_check": 1, "submissions": [{"path": 1}]}')],
        [("result.json", b'{"safescale_check": 1, "refused": [{"where": "' + b"x" * 999 + b'"}]}')],
        [("result.json", GOOD.replace(b'"verified"', b'"VERIFIED @everyone"'))],
    ],
    ids=lambda files: str([name for name, _ in files]),
)
def test_any_other_archive_is_refused_and_nothing_is_unpacked(tmp_path, files):
    place = tmp_path / "in" / "here"
    place.mkdir(parents=True)
    with pytest.raises(SafescaleError):
        read_outcome(zipped(place / "a.zip", files))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.zip"]


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04" + b"x" * 99, b"", b"null", b"{}"])
def test_what_is_no_result_is_refused(tmp_path, content):
    path = tmp_path / "result"
    path.write_bytes(content)
    with pytest.raises(SafescaleError):
        read_outcome(path)


def test_an_archive_with_a_byte_changed_is_a_result_or_refused(tmp_path):
    whole = zipped(tmp_path / "a.zip", [("result.json", GOOD)]).read_bytes()
    for place in range(len(whole)):
        path = tmp_path / "b.zip"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with suppress(SafescaleError):
            assert read_outcome(path).submissions


def test_the_command_writes_the_comment(tmp_path):
    result, changed, out = (tmp_path / name for name in ("r.json", "c.json", "the comment.md"))
    result.write_bytes(GOOD)
    changed.write_text(json.dumps([PATH]))
    words = ["leaderboard", "comment", str(result), "--changed", str(changed), "-o", str(out)]
    assert run(app, words).exit_code == 0
    first = sha256(out.read_bytes()).hexdigest()
    assert run(app, words).exit_code == 0
    assert sha256(out.read_bytes()).hexdigest() == first
    changed.write_text("{}")
    assert isinstance(run(app, words).exception, SafescaleError)

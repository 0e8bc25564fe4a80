"""Teams: an Advisor answers, Guardians review; every step is stored, nothing is asked twice, and
the final text is an ordinary answer.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, paired_tests
from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm import load_demo
from lm_eval_safescale.harness import loading
from lm_eval_safescale.running import Model, run, run_team
from lm_eval_safescale.running.team_file import read_team
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.verifying.verify import verify
from tests.running import asking
from tests.running.asking import write_questions
from tests.stub_server import chooses, fails, says

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)
ITEMS = 4
KEY = "sk-quite-secret-0123456789"
TOKENS = {"usage": {"prompt_tokens": 100, "completion_tokens": 7}}
UNTIMED = pl.exclude("latency_s", "concurrency")
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([asking.__name__, "lm_eval_safescale.running.team"])


@pytest.fixture(autouse=True)
def _no_key_and_no_proxy(monkeypatch):
    """Of whoever runs the tests."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def member(server):
    """A member behind the stub, by its name there."""

    def member(name, **given):
        args = {"num_concurrent": 1, "max_retries": 0}
        return {"base_url": server.base_url, "model": name, "model_args": args, **given}

    return member


@pytest.fixture
def write(tmp_path, member):
    """A team's file: the Advisor a, and Guardians."""

    def write(*guardians, name="a-and-guardians", **given):
        content = {
            "name": name,
            "advisor": member("a"),
            "guardians": [member(each) if each != "advisor" else each for each in guardians],
        } | given
        path = tmp_path / "team.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def metadata(tmp_path):
    return {"dataset_path": str(write_questions(tmp_path / "questions.jsonl", ITEMS)), "draws": 0}


@pytest.fixture
def go(tmp_path, write, metadata):
    """A run of a team in `tmp_path / "team"`."""

    def go(*guardians, conditions=("closed_book",), draws=0, options=None, **given):
        team = read_team(write(*guardians, **given))
        how = {"metadata": metadata | {"draws": draws}} | (options or {})
        return run_team(team, tmp_path / "team", list(conditions), **how)

    return go


def replies(server, by_model):
    """The stub says what each model says: a text, or what a function makes of what was asked."""

    def answer(seen):
        what = by_model[seen.body["model"]]
        what = what(seen) if callable(what) else what
        return says(what, **TOKENS) if isinstance(what, str) else what

    server.answer = answer


def asked(server, model):
    return [seen.body for seen in server.seen if seen.body["model"] == model]


def bodies(server):
    return [seen.body for seen in server.seen]


def texts(folder, model=None):
    answers = open_runs(folder).answers
    assert set(answers["model"].cast(str)) == {model or "a-and-guardians"}
    return answers["text"].to_list()


def told(folder, name="a-and-guardians"):
    return open_runs(folder).about["models"][name]["team"]


# --- the whole path -------------------------------------------------------------------------------


def test_a_guardian_sees_the_case_and_the_advice_and_its_text_is_an_ordinary_answer(
    go, server, tmp_path, metadata
):
    replies(server, {"a": "A", "g": "(C)"})
    report = go("g")
    folder = tmp_path / "team"
    assert texts(folder) == ["(C)"] * ITEMS
    assert open_runs(folder).answers["response"].to_list() == ["C"] * ITEMS
    assert texts(folder / "advisor", "a") == ["A"] * ITEMS
    assert (report.standing.of, report.standing.done, report.failures) == (ITEMS, ITEMS, {})

    advisor, guardian = asked(server, "a"), asked(server, "g")
    assert len(advisor) == len(guardian) == ITEMS
    (before,) = {len(body["messages"]) for body in advisor}
    for one, other in zip(advisor, guardian, strict=True):
        (turn,) = other["messages"]
        case, advice = (
            turn["content"].partition(f"<{tag}>\n")[2].partition(f"\n</{tag}>")[0]
            for tag in ("case", "advice")
        )
        assert case == "\n\n".join(each["content"] for each in one["messages"])
        assert advice == "A"
        assert other["temperature"] == 0

    server.seen.clear()
    args = {"model": "a", "base_url": f"{server.base_url}/chat/completions"}
    alone = run(
        Model("local-chat-completions", args | {"num_concurrent": 1, "max_retries": 0}),
        tmp_path / "alone",
        ["closed_book"],
        metadata=metadata,
    )
    assert asked(server, "a") == advisor  # to the letter
    solo = open_runs(folder / "advisor").answers
    assert solo.select(UNTIMED).equals(alone.runs.answers.select(UNTIMED))
    assert before


def test_the_second_guardian_reviews_what_the_first_made_of_it(go, server, tmp_path):
    replies(server, {"a": "A", "g": "B", "h": "C"})
    go("g", "h")
    assert texts(tmp_path / "team") == ["C"] * ITEMS
    assert all("<advice>\nB\n</advice>" in str(seen.prompt) for seen in server.seen[-ITEMS:])
    order = [body["model"] for body in bodies(server)]
    assert order == [*"a" * ITEMS, *"g" * ITEMS, *"h" * ITEMS]


def test_one_model_can_be_all_members(go, server, tmp_path):
    go("advisor", "advisor")
    team = told(tmp_path / "team")
    assert [each["name"] for each in team["members"]] == ["a"] * 3
    assert len(asked(server, "a")) == 3 * ITEMS
    assert read_run(tmp_path / "team")["identity"]["model"]["guardians"][0]["model"] == "a"


def test_each_draw_of_the_advisor_is_reviewed(go, server, tmp_path):
    replies(server, {"a": lambda seen: f"B {seen.body['temperature']}", "g": "C"})
    go("g", draws=2)
    answers = open_runs(tmp_path / "team").answers
    assert answers["draw"].to_list() == [0, 1, 2] * ITEMS
    assert len(asked(server, "g")) == 3 * ITEMS
    alone = open_runs(tmp_path / "team" / "advisor").answers
    assert answers["seed"].to_list() == alone["seed"].to_list()
    assert answers["prompt_sha256"].to_list() == alone["prompt_sha256"].to_list()


def test_tokens_and_seconds_are_sums_over_the_steps(go, server, tmp_path):
    replies(
        server,
        {"a": "A", "g": lambda seen: "B" * ("Your last" in seen.prompt), "h": "C"},
    )
    go("g", "h")
    answers = open_runs(tmp_path / "team").answers
    assert answers["prompt_tokens"].to_list() == [400] * ITEMS  # the advisor, g twice, h
    assert answers["completion_tokens"].to_list() == [28] * ITEMS
    solo = open_runs(tmp_path / "team" / "advisor").answers["latency_s"].to_list()
    lines = (tmp_path / "team" / "team.steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    for own, row in zip(solo, answers.iter_rows(named=True), strict=True):
        other = [each["seconds"] for each in steps if each.get("question_id") == row["question_id"]]
        assert len(other) == 3
        assert row["latency_s"] == pytest.approx(own + sum(other), abs=0.01)
    team = told(tmp_path / "team")
    assert [each["steps"] for each in team["members"]] == [ITEMS, 2 * ITEMS, ITEMS]
    assert (team["steps"], team["prompt_tokens"], team["completion_tokens"]) == (16, 1600, 112)
    assert team["seconds"] == pytest.approx(answers["latency_s"].sum(), abs=0.05)


def test_tokens_that_one_step_does_not_tell_make_the_sum_unknown(go, server, tmp_path):
    replies(server, {"a": "A", "g": lambda _: says("B")})
    go("g")
    assert open_runs(tmp_path / "team").answers["prompt_tokens"].to_list() == [None] * ITEMS
    assert told(tmp_path / "team")["prompt_tokens"] is None


# --- replies that cannot be used ------------------------------------------------------------------


def test_a_guardian_is_asked_once_more_and_told_why(go, server, tmp_path):
    replies(server, {"a": "A", "g": lambda seen: "C" if "It was empty." in seen.prompt else " "})
    go("g")
    assert texts(tmp_path / "team") == ["C"] * ITEMS
    team = told(tmp_path / "team")
    assert (team["reviews_not_used"], team["not_reviewed"]) == (0, 0)


@pytest.mark.parametrize(
    "reply",
    [
        says("\n", **TOKENS),
        says("<think>The advice looks", **TOKENS),
        chooses({"finish_reason": "length", "message": {"content": None, "reasoning": "Well"}}),
    ],
    ids=["empty", "inside its reasoning", "reasoning beside it"],
)
def test_where_it_cannot_be_used_twice_the_text_before_stands_and_is_counted(
    go, server, tmp_path, reply
):
    replies(server, {"a": "A", "g": lambda _: reply})
    go("g")
    assert texts(tmp_path / "team") == ["A"] * ITEMS
    assert told(tmp_path / "team")["reviews_not_used"] == ITEMS == len(asked(server, "g")) / 2


def test_the_reasoning_of_members_is_no_part_of_the_answer(go, server, tmp_path):
    replies(server, {"a": "<think>Or B.</think>A", "g": "<think>Rather D?</think>C"})
    go("g")
    assert "Or B" not in asked(server, "g")[0]["messages"][0]["content"]
    assert texts(tmp_path / "team") == ["C"] * ITEMS


def test_a_team_of_a_reasoning_advisor_is_read_without_reasoning(go, server, tmp_path, metadata):
    replies(server, {"a": "<think>Or B.</think>A", "g": "The answer is C."})
    go("g", options={"metadata": metadata | {"reasoning": "on"}})
    answers = open_runs(tmp_path / "team").answers
    assert answers["response"].to_list() == ["C"] * ITEMS
    assert verify(tmp_path / "team").verdict.name == "WHOLE"
    assert {body["max_tokens"] for body in bodies(server)} == {4096}


def test_an_advisor_that_did_not_come_to_an_answer_leaves_nothing_to_review(go, server, tmp_path):
    cut = chooses({"finish_reason": "length", "message": {"content": None, "reasoning": "Well"}})
    held = chooses({"finish_reason": "content_filter", "message": {"content": ""}})
    given = {"q0": "A", "q1": "", "q2": cut, "q3": held}
    replies(
        server,
        {"a": lambda seen: given[f"q{seen.prompt.partition('image ')[2][0]}"], "g": "C"},
    )
    go("g")
    answers = open_runs(tmp_path / "team").answers
    assert answers["status"].to_list() == ["ok", "unanswered", "truncated", "filtered"]
    alone = open_runs(tmp_path / "team" / "advisor").answers
    assert answers["status"].to_list() == alone["status"].to_list()
    assert len(asked(server, "g")) == 1
    assert told(tmp_path / "team")["not_reviewed"] == 3


def test_where_a_guardian_gives_no_reply_the_answer_lacks_and_is_asked_for(go, server, tmp_path):
    replies(server, {"a": "A", "g": lambda seen: fails(400) if "image 2" in seen.prompt else "C"})
    report = go("g")
    ((item, why),) = report.failures["closed_book"].items()
    assert item == "q2"
    assert "guardian 1: " in why
    answers = open_runs(tmp_path / "team").answers
    assert answers["status"].to_list() == ["ok", "ok", "error", "ok"]
    server.seen.clear()
    replies(server, {"a": "A", "g": "D"})
    assert go("g").failures == {}
    assert [seen.body["model"] for seen in server.seen] == ["g"]
    assert texts(tmp_path / "team") == ["C", "C", "D", "C"]


def test_an_advisor_without_an_answer_is_asked_again_before_its_team(go, server, tmp_path):
    replies(server, {"a": lambda seen: fails(400) if "image 2" in seen.prompt else "A", "g": "C"})
    assert "the Advisor gave no answer: " in go("g").failures["closed_book"]["q2"]
    server.seen.clear()
    replies(server, {"a": "A", "g": "C"})
    assert go("g").failures == {}
    assert [seen.body["model"] for seen in server.seen] == ["a", "g"]


def test_what_a_filter_held_back_is_asked_for_again_and_then_reviewed(go, server, tmp_path):
    held = chooses({"finish_reason": "content_filter", "message": {"content": ""}})
    replies(server, {"a": lambda _: held, "g": "C"})
    go("g")
    replies(server, {"a": "A", "g": "C"})
    go("g")
    assert set(open_runs(tmp_path / "team").answers["status"]) == {"filtered"}
    go("g", options={"retry_filtered": True})
    assert texts(tmp_path / "team") == ["C"] * ITEMS
    assert told(tmp_path / "team")["not_reviewed"] == 0


# --- going on -------------------------------------------------------------------------------------


def test_a_finished_run_asks_nothing_and_loads_nothing(go, server, monkeypatch):
    go("g")
    server.seen.clear()
    monkeypatch.setattr("lm_eval_safescale.running.loaded.Loaded.backend", None)
    report = go("g")
    assert report.was_finished
    assert server.seen == []


def test_more_items_and_conditions_are_added(go, server, tmp_path):
    go("g", options={"limit": 2})
    go("g")
    go("g", conditions=("closed_book", "clean"))
    assert max(Counter(json.dumps(body) for body in bodies(server)).values()) == 1
    assert open_runs(tmp_path / "team").answers.height == 2 * ITEMS


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"guardians": ["h"]}, "model.guardians"),
        ({"guardians": ["g", "g"]}, "model.guardians"),
        ({"prompts": {"guardian": "{case} {advice} Is it harmful?"}}, "model.prompts_sha256"),
    ],
)
def test_another_team_is_refused(go, server, member, given, what):
    go("g")
    server.seen.clear()
    guardians = given.pop("guardians", ["g"])
    with pytest.raises(SafescaleError, match=what):
        go(*guardians, **given)
    assert server.seen == []


def test_the_advisor_alone_is_refused_in_the_folder_of_its_team(go, tmp_path, server, metadata):
    go("g")
    args = {"model": "a", "base_url": f"{server.base_url}/chat/completions"}
    with pytest.raises(SafescaleError, match="asked for otherwise"):
        run(
            Model("local-chat-completions", args),
            tmp_path / "team",
            ["closed_book"],
            metadata=metadata,
        )


def team_and_die(at, folder, path, metadata):
    """In a process of its own."""
    watched = asking.watch_writing(at)
    run_team(read_team(path), folder, ["closed_book", "clean"], metadata=metadata)
    Path(f"{folder}.instants").write_text("\n".join(watched))


def die(at, folder, path, metadata):
    process = processes.Process(target=team_and_die, args=(at, folder, path, metadata))
    process.start()
    process.join()
    return process.exitcode


def test_a_run_that_is_killed_at_any_step_goes_on_and_asks_little_twice(
    write, server, tmp_path, metadata
):
    replies(
        server,
        {"a": "A", "g": lambda seen: "B" * ("Your last" in seen.prompt), "h": "C"},
    )
    path = write("g", "h")
    assert die(0, tmp_path / "whole", path, metadata) == 0
    once = Counter(json.dumps(body, sort_keys=True) for body in bodies(server))
    assert once.total() == 2 * ITEMS * 4
    whole = open_runs(tmp_path / "whole")
    for pieces, first, step in (("pieces", 40, 17), ("others", 95, 6)):
        server.seen.clear()
        kills = 0
        while die(first + kills * step, tmp_path / pieces, path, metadata) == -signal.SIGKILL:
            kills += 1
        assert kills >= 5
        again = Counter(json.dumps(body, sort_keys=True) for body in bodies(server))
        assert again.keys() == once.keys()
        assert again.total() <= once.total() + kills  # one is in flight
        now = open_runs(tmp_path / pieces)
        assert now.answers.select(UNTIMED).equals(whole.answers.select(UNTIMED))
        count = ("steps", "prompt_tokens", "not_reviewed", "reviews_not_used")
        one, other = told(tmp_path / pieces), told(tmp_path / "whole")
        assert [one[name] for name in count] == [other[name] for name in count]


# --- what comes of it -----------------------------------------------------------------------------


def test_solo_and_team_are_compared_and_the_run_verifies(go, server, tmp_path):
    replies(server, {"a": "A", "g": lambda seen: "C" if "image 3" in seen.prompt else "A"})
    go("g", conditions=("closed_book", "clean"), draws=2)
    folder = tmp_path / "team"
    runs = open_runs(folder, folder / "advisor")
    rows = [
        row
        for row in paired_tests(Study(runs)).to_dicts()
        if row["model"] is None and row["metric"] == "accuracy" and row["decode"] == "greedy"
    ]
    sides = [{row["left_model"], row["right_model"]} for row in rows]
    assert sides == [{"a", "a-and-guardians"}] * 2
    assert [abs(row["delta"]) for row in rows] == [1 / ITEMS] * 2
    for each in (folder, folder / "advisor"):
        assert verify(each).verdict.name == "WHOLE"


def test_a_team_answers_options_lists(write, server, tmp_path):
    """NOHARM's option protocol: the reply is JSON, read as any."""
    kind = json.dumps([{"Option": 1, "GradeAI": "Appropriate", "Rationale": "r"}])
    replies(server, {"a": kind.replace("Appropriate", "Inappropriate"), "g": kind})
    run_team(
        read_team(write("g")),
        tmp_path / "team",
        ["noharm_options"],
        metadata={"dataset": "noharm_demo", "draws": 0},
        limit=2,
    )
    assert texts(tmp_path / "team") == [kind] * 2
    assert load_demo().items[0].question[:40] in asked(server, "g")[0]["messages"][0]["content"]


def test_no_key_is_stored(go, tmp_path, server):
    go("g")
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    for path in (tmp_path / "team").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_two_folders_of_a_team_are_one_with_the_sums_of_both(go, server, tmp_path):
    replies(server, {"a": "A", "g": "C"})
    go("g")
    (tmp_path / "team").rename(tmp_path / "first")
    go("g", conditions=("clean",))
    both = open_runs(tmp_path / "first", tmp_path / "team")
    assert both.conditions == ("closed_book", "clean")
    team, one = both.about["models"]["a-and-guardians"]["team"], told(tmp_path / "first")
    assert team["steps"] == 2 * one["steps"] == 4 * ITEMS
    assert [each["prompt_tokens"] for each in team["members"]] == [200 * ITEMS] * 2


def test_what_a_batch_computes_takes_as_long_as_the_batch(write, metadata, tmp_path, monkeypatch):
    """Members in this process; a stub, no model."""
    monkeypatch.setenv(asking.FAULTS, "{}")
    monkeypatch.setattr(asking, "TEXTS", ("C", "(B)"))
    stub = {"backend": asking.STUB, "batch_size": ITEMS}
    guardian = stub | {"model_args": {"template": "[{role}]"}}
    run_team(
        read_team(write(advisor=stub, guardians=[guardian])),
        tmp_path / "team",
        ["closed_book"],
        metadata=metadata,
    )
    answers = open_runs(tmp_path / "team").answers
    alone = open_runs(tmp_path / "team" / "advisor").answers
    assert answers["concurrency"].to_list() == [ITEMS] * ITEMS
    assert answers["completion_tokens"].to_list() == [2] * ITEMS
    assert (answers["prompt_tokens"] > 2 * alone["prompt_tokens"]).all()
    took = answers["latency_s"] - alone["latency_s"]
    assert took.max() == pytest.approx(took.min())
    steps = (tmp_path / "team" / "team.steps.jsonl").read_text().splitlines()
    shares = [each["seconds"] for each in map(json.loads, steps) if "step" in each]
    assert took[0] == pytest.approx(sum(shares), abs=0.01)


def test_a_model_that_is_several_members_is_loaded_once(write, metadata, tmp_path, monkeypatch):
    """A stub in this process, no model."""
    loaded, load = [], loading.load_backend
    monkeypatch.setattr(
        loading, "load_backend", lambda *args, **how: loaded.append(args) or load(*args, **how)
    )
    monkeypatch.setenv(asking.FAULTS, "{}")
    team = read_team(write("advisor", "advisor", advisor={"backend": asking.STUB}))
    run_team(team, tmp_path / "team", ["closed_book"], metadata=metadata)
    assert len(loaded) == 1


def test_a_run_of_the_advisor_that_is_there_is_not_asked_again(go, server, tmp_path, metadata):
    args = {"model": "a", "base_url": f"{server.base_url}/chat/completions", "max_retries": 0}
    run(
        Model("local-chat-completions", args),
        tmp_path / "team" / "advisor",
        ["closed_book"],
        metadata=metadata,
    )
    server.seen.clear()
    go("g")
    assert {body["model"] for body in bodies(server)} == {"g"}


def test_free_text_advice_is_reviewed_and_waits_for_its_judge(write, server, tmp_path):
    replies(server, {"a": "Wait and see.", "g": "Start treatment now, and ask a surgeon."})
    kit = data_folder() / "noharm_text_demo"
    report = run_team(
        read_team(write("g")),
        tmp_path / "team",
        ["noharm"],
        metadata={"dataset_path": str(kit), "draws": 1},
        limit=3,
    )
    assert texts(tmp_path / "team") == ["Start treatment now, and ask a surgeon."] * 6
    assert set(open_runs(tmp_path / "team").answers["status"]) == {"unjudged"}
    assert report.standing.unjudged == 6
    assert verify(tmp_path / "team").verdict.name == "WHOLE"


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "expected a mapping with name, advisor and guardians"),
        ("name: [", "expected the YAML file of a team"),
        ({"name": None}, "name: None; expected a text"),
        ({"advisor": "x"}, "advisor: 'x'; expected"),
        ({"guardians": []}, "guardians: .*; expected"),
        ({"guardians": ["advisor"] * 3}, "guardians: .*; expected .* at most 2 items"),
        ({"guardians": ["nobody"]}, "guardians, number 1: 'nobody'; expected"),
        ({"guardian": []}, "guardian: no such field; expected one of name, advisor, guardians"),
        ({"advisor": {"backend": "hf", "max_tokens": 3}}, "advisor, max_tokens: no such field"),
        ({"advisor": {"model": "m"}}, "advisor: .*; expected either backend .* or base_url and"),
        ({"advisor": {"backend": "hf", "base_url": "u", "model": "m"}}, "advisor: .* either"),
        ({"advisor": {"backend": "choose-nothing"}}, "advisor: .*a control, which reads nothing"),
        ({"guardians": [{"backend": "hf", "max_tokens": 0}]}, "number 1, max_tokens: 0; expected"),
        ({"prompts": {"guardian": "{case}"}}, r"prompts: .*expected a text with \{advice\} in it"),
        ({"name": "m"}, "is what the advisor alone is called"),
        ({"advisor": {"backend": "hf", "model_args": "x"}}, "x"),
    ],
)  # fmt: skip
def test_a_bad_file_names_the_field_and_what_was_expected(tmp_path, content, message):
    path = tmp_path / "team.yaml"
    good = {
        "name": "t",
        "advisor": {"base_url": "http://h/v1", "model": "m"},
        "guardians": ["advisor"],
    }
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(good | content))
    with pytest.raises(SafescaleError, match=message) as failed:
        read_team(path)
    assert str(path) in str(failed.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model_args": {"api_key": KEY}}, "guardians, number 1: .*api_key"),
        ({"base_url": "http://user:word@h/v1"}, "guardians, number 1: .*holds a key or password"),
        ({"model_args": {"temperatur": 0}}, "guardians, number 1: .*temperatur"),
    ],
)
def test_what_a_backend_cannot_take_names_the_member(go, member, tmp_path, given, message):
    with pytest.raises(SafescaleError, match=message) as failed:
        go(guardians=[member("g") | given])
    assert KEY not in str(failed.value)
    assert not (tmp_path / "team").exists()


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path, metadata):
    def command(*options):
        given = ["run", "-o", str(tmp_path / "team"), "--metadata", json.dumps(metadata)]
        result = CliRunner().invoke(app, [*given, "--conditions", "closed_book", *options])
        return " ".join(
            f"{result.output} {result.exception if result.exit_code else ''}".split()
        ), result.exit_code

    return command


def test_the_command_says_what_the_team_did(command, write, server, tmp_path):
    replies(server, {"a": "A", "g": ""})
    said, code = command("--team", str(write("g")))
    assert code == 0, said
    for text in (
        "Advisor: 4 of 4 answers", "Guardians review,", "4 answers of a-and-guardians",
        "team 12 steps, tokens 1,200 + 84", "4 reviews could not be used, asked twice",
        f"Next: safescale analyze {tmp_path / 'team'} -o TABLES",
    ):  # fmt: skip
        assert text in said
    said, code = command("--team", str(write("g")))
    assert code == 0
    assert "asked now 0; 4 were there" in said
    assert "team 12 steps" in said


def test_a_team_and_a_model_are_one_too_many(command, write, server):
    for options, message in (
        ((), "neither --model nor --team"),
        (("--team", str(write("g")), "--model", "hf"), "--team with --model"),
        (("--team", str(write("g")), "--latency", "isolated"), "expected latency loaded"),
    ):
        said, code = command(*options)
        assert code == 1
        assert message in said
    assert server.seen == []

"""What a content filter held back: not scored, counted apart, asked again only when told to, and
replaced by what is let through then.
"""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, not_scored, profile
from lm_eval_safescale.cli import app
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs.journal import Journal
from lm_eval_safescale.runs.lines import Draw, Line
from tests.running.asking import read_lines
from tests.stub_server import chooses, fails, says, sends

pytest.importorskip("aiohttp")
pytest.importorskip("httpx")
HELD_BACK = chooses({"finish_reason": "content_filter", "message": {"content": ""}})
PROMPT_HELD_BACK = sends(b'{"error": {"code": "content_filter", "message": "no"}}', 400)
ITEMS, DRAWS = 4, 2


def args_of(server):
    return f"model=m,base_url={server.base_url}/chat/completions,max_retries=0,num_concurrent=2"


@pytest.fixture
def ask(server, tmp_path):
    """The command on four demo questions: what it says in one line, and its exit code."""

    def ask(*options):
        command = [
            "run",
            "--model",
            "local-chat-completions",
            "--model_args",
            args_of(server),
            "-o",
            str(tmp_path / "runs"),
        ]
        command += [
            "--dataset",
            "demo",
            "--draws",
            str(DRAWS),
            "--conditions",
            "clean",
            "--limit",
            str(ITEMS),
        ]
        server.seen.clear()
        result = CliRunner().invoke(app, [*command, *options])
        return " ".join(
            f"{result.output} {result.exception if result.exit_code else ''}".split()
        ), result.exit_code

    return ask


@pytest.fixture
def answers(tmp_path):
    return lambda: pl.read_parquet(tmp_path / "runs" / "answers.parquet")


def hold_back(server, *, answer=HELD_BACK):
    """Samples are answered, greedy answers held back."""
    server.answer = lambda seen: says("B") if seen.body["temperature"] else answer


@pytest.mark.parametrize(
    "held_back", [HELD_BACK, PROMPT_HELD_BACK], ids=["the reply", "the prompt"]
)
def test_what_was_held_back_is_not_asked_again_until_it_is_wanted(ask, server, answers, held_back):
    hold_back(server, answer=held_back)
    said, code = ask()
    assert code == 0, said
    assert f": {ITEMS * DRAWS} answers of m, {ITEMS} filtered" in said
    assert (
        "4 answers held back by a content filter: not scored, and asked for again with "
        "--retry-filtered only."
    ) in said
    assert answers()["status"].to_list() == ["filtered", "ok", "ok"] * ITEMS
    server.answer = lambda seen: says("C")
    said, code = ask()
    assert (code, server.seen) == (0, [])
    assert "asked now 0; 12 were there" in said
    said, code = ask("--retry-filtered")
    assert code == 0, said
    assert (len(server.seen), {seen.body["temperature"] for seen in server.seen}) == (ITEMS, {0})
    assert answers()["status"].to_list() == ["ok"] * 3 * ITEMS
    assert answers().filter(draw=0)["response"].to_list() == ["C"] * ITEMS
    assert "filter" not in said
    assert "asked now 0; 12 were there" in ask("--retry-filtered")[0]


def test_what_is_held_back_again_or_fails_then_stays_held_back(ask, server, answers):
    hold_back(server)
    ask()
    before = answers()
    for answer in (HELD_BACK, fails(500)):
        hold_back(server, answer=answer)
        said, code = ask("--retry-filtered")
        assert len(server.seen) == ITEMS
        assert code == 0, said
        assert (
            answers()
            .drop("latency_s", "concurrency")
            .equals(before.drop("latency_s", "concurrency"))
        )
    server.answer = lambda seen: says("C")
    assert ask("--retry-filtered")[1] == 0
    assert answers()["status"].to_list() == ["ok"] * 3 * ITEMS


def test_a_seed_is_the_same_when_a_sample_is_asked_again(ask, server, answers):
    server.answer = lambda seen: HELD_BACK if seen.body["temperature"] else says("C")
    ask()
    seeds = sorted(seen.body["seed"] for seen in server.seen if seen.body["temperature"])
    server.answer = lambda seen: says("B")
    ask("--retry-filtered")
    assert sorted(seen.body["seed"] for seen in server.seen) == seeds
    assert sorted(answers().filter(pl.col("draw") > 0)["seed"]) == seeds


def test_it_is_in_no_rate_and_said_wherever_rates_are(server, tmp_path):
    hold_back(server)
    model = runner.Model(
        "local-chat-completions", {"model": "m", "base_url": f"{server.base_url}/chat/completions"}
    )
    report = runner.run(
        model, tmp_path, ["clean"], metadata={"dataset": "demo", "draws": DRAWS}, limit=ITEMS
    )
    (row,) = profile(report.runs).to_dicts()
    assert (row["n"], row["n_filtered"], row["accuracy"], row["unanswered"]) == (
        0,
        ITEMS,
        None,
        None,
    )
    assert row["majority_accuracy"] is not None
    reasons = {each["reason"]: each["items"] for each in not_scored(Study(report.runs))}
    assert reasons["a content filter held the greedy answer back"] == ITEMS
    assert report.standing.greedy == 0


STATUSES = st.lists(
    st.lists(st.sampled_from(["ok", "unanswered", "filtered", "missing"]), min_size=3, max_size=3),
    max_size=6,
)


@given(STATUSES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_each_draw_the_first_answer_counts_that_was_let_through(tmp_path_factory, tries):
    """Each try asks for three draws of one item; draw 5 has the seed 105, whichever of them were
    answered."""
    folder = tmp_path_factory.mktemp("run")
    with Journal(folder, {"model": {}}, {}) as journal:
        for number, statuses in enumerate(tries):
            draws = [
                Draw(draw, status, f"{number}", "A" if status == "ok" else None)
                for draw, status in zip((5, 6, 7), statuses, strict=True)
                if status != "missing"
            ]
            if draws:
                journal.write(Line("clean", "q", draws, seed=100 + draws[0].draw))
        held = journal.held
    lines, damaged = read_lines(folder)
    assert damaged == 0
    found = {
        draw.draw: (draw.text, draw.status, line.seed + draw.draw - line.draws[0].draw)
        for line in lines
        for draw in line.draws
    }
    assert sum(len(line.draws) for line in lines) == len(found) == len(held)
    for draw in (5, 6, 7):
        given = [
            (str(number), statuses[draw - 5], 100 + draw)
            for number, statuses in enumerate(tries)
            if statuses[draw - 5] != "missing"
        ]
        let_through = [each for each in given if each[1] != "filtered"]
        assert found.get(draw) == next(iter(let_through + given), None)
        held_back = bool(given) and not let_through
        assert (
            held.of("clean", "q") >> draw & 1,
            held.filtered.get(("clean", "q"), 0) >> draw & 1,
        ) == (bool(given), held_back)

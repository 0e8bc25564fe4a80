"""`safescale`, `safescale table` and `safescale doctor` as a person sees them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lm_eval_safescale import cli
from lm_eval_safescale.cli import app
from lm_eval_safescale.families import RADSAFE, ItemTable

run = CliRunner().invoke


def result_file(
    folder,
    *,
    model="org/some-model",
    date=1.0,
    demo=True,
    accuracy=0.5,
    draws=20,
    conditions=("clean", "closed_book"),
    statuses=None,
    contexts=None,
    **settings,
):
    """A result file in the harness's layout, with what our tasks put into it."""
    about = {
        "dataset": {"name": "demo", "version": "1.0", "items": 60, "demo": demo},
        "settings": {
            "draws": draws,
            "overconfidence_threshold": 0.8,
            "temperature": 0.7,
            "reasoning": "auto",
            **settings,
        },
        "contexts": contexts,
        "prompt_sha256": "",
    }
    values = {
        "accuracy,letter": accuracy,
        "accuracy_stderr,letter": 0.0625,
        "sample_len": 60,
        "name": "x",
        "alias": "x",
    }
    values |= {"high_risk_error,letter": "not scored", "high_risk_error_stderr,letter": "N/A"}
    content = {
        "model_name": model,
        "date": date,
        "configs": {
            f"radsafe_{c}": {
                "metadata": {
                    "safescale": about | {"condition": c, "statuses": (statuses or {}).get(c)}
                }
            }
            for c in conditions
        }
        | {"arc": {"metadata": {}}},
        "results": {f"radsafe_{c}": values for c in conditions},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"results_{date}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_the_table_shows_percent_with_errors_a_column_a_condition_and_says_demo(tmp_path):
    result_file(tmp_path / "model")
    shown = run(app, ["table", str(tmp_path)])
    assert shown.exit_code == 0
    assert "org/some-model on demo 1.0 - DEMO" in shown.output
    assert shown.output.index("closed_book") < shown.output.index("clean")
    assert shown.output.count("50.0 ±  6.2") == 2
    assert "not scored" in shown.output
    assert "K = 20" in shown.output


def test_the_table_counts_what_was_cut_off_or_has_no_output_beside_the_unanswered_if_any(tmp_path):
    result_file(tmp_path, statuses={"clean": {"unanswered": 5, "truncated": 7, "error": 0}})
    shown = run(app, ["table", str(tmp_path)]).output
    (row,) = [line for line in shown.splitlines() if "unanswered: truncated" in line]
    assert [cell.strip() for cell in row.split("│")[2:4]] == ["unknown", "7 items"]
    assert "not scored: " not in shown
    result_file(
        tmp_path,
        date=2.0,
        statuses={c: {"truncated": 0, "error": 2, "filtered": 1} for c in ("clean", "closed_book")},
    )
    shown = run(app, ["table", str(tmp_path)]).output
    assert "unanswered: truncated" not in shown
    assert shown.count("2 items") == shown.count("1 item ") == 2


def test_the_table_has_a_row_for_every_metric_that_the_harness_shows():
    assert set(RADSAFE.shown) == {
        metric.name for metric in RADSAFE.metrics(ItemTable((), {})) if metric.in_table
    }


def test_the_newest_of_two_runs_is_shown(tmp_path):
    result_file(tmp_path, date=2.0, accuracy=0.75)
    result_file(tmp_path, date=1.0, accuracy=0.25)
    shown = run(app, ["table", str(tmp_path)])
    assert "75.0" in shown.output
    assert "25.0" not in shown.output


def test_runs_that_were_asked_differently_do_not_share_a_table(tmp_path):
    result_file(tmp_path, date=1.0, conditions=("clean",))
    result_file(tmp_path, date=2.0, conditions=("closed_book",), draws=5)
    result_file(tmp_path, date=3.0, conditions=("clean",), model="other/some-model")
    shown = run(app, ["table", str(tmp_path)]).output
    assert shown.count("some-model on demo") == 3
    assert "other/some-model on demo" in shown
    assert shown.count("K = 20") == 2
    assert shown.count("K = 5") == 1


RETRIEVED = {"builder": {"name": "rag"}, "measures": {}, "tokens": {"mean": 1.0}, "flagged": 0}


def test_one_model_has_one_table_whenever_its_tasks_were_run_whatever_built_its_contexts(tmp_path):
    result_file(tmp_path, date=1.0, conditions=("clean", "closed_book"), corpus=None)
    result_file(tmp_path, date=2.0, conditions=("rag",), corpus="demo", contexts=RETRIEVED)
    result_file(tmp_path, date=3.0, conditions=("closed_book",), corpus="demo", accuracy=0.75)
    shown = run(app, ["table", str(tmp_path)], env={"COLUMNS": "150"}).output
    assert shown.count("some-model on demo") == 1
    (accuracies,) = [
        line for line in shown.splitlines() if "accuracy  " in line and "majority" not in line
    ]
    assert [cell.split()[0] for cell in accuracies.split("│")[2:5]] == ["75.0", "50.0", "50.0"]
    (head,) = [line for line in shown.splitlines() if "closed_book" in line]
    assert head.index("closed_book") < head.index("clean") < head.index("rag")


def test_one_condition_with_two_corpora_stands_in_a_table_for_each(tmp_path):
    result_file(tmp_path, date=1.0, conditions=("clean",))
    result_file(tmp_path, date=2.0, conditions=("rag",), corpus="demo", contexts=RETRIEVED)
    result_file(
        tmp_path, date=3.0, conditions=("rag",), corpus="ours", contexts=RETRIEVED, accuracy=0.75
    )
    shown = run(app, ["table", str(tmp_path)]).output
    assert shown.count("some-model on demo") == 3
    assert "75.0 ±" in shown
    assert shown.count("50.0 ±") == 2


def test_the_table_can_be_drawn(tmp_path):
    path = tmp_path / "table.svg"
    result_file(tmp_path, model="<script>")
    assert run(app, ["table", str(tmp_path), "--svg", str(path)]).exit_code == 0
    drawn = path.read_text(encoding="utf-8")
    assert "<script>" not in drawn
    assert "url(" not in drawn.replace("url(#", "")  # opens without a network


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"configs": {}, "results": {}}'])
def test_what_is_no_result_file_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "results_x.json"
    path.write_text(content, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval_safescale", "table", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_the_command_needs_neither_the_harness_nor_pydantic_to_show_its_help():
    code = (
        "import sys, lm_eval_safescale.cli; print({'lm_eval', 'torch', 'pydantic', 'polars', "
        "'numpy'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_the_doctor_sees_tasks_and_data_and_says_what_to_do(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("SAFESCALE_DATASET", raising=False)
    shown = run(app, ["doctor", "--model", "/nonexistent/model"])
    assert shown.exit_code == 1
    assert (
        "the harness sees the tasks: medguard, medguard_basic, medguard_cot, medguard_cot_safe, "
        "medguard_safe, noharm, noharm_concise, noharm_limit500, noharm_limitnone, noharm_options, "
        "noharm_zero, radsafe, radsafe_agentic, "
    ) in shown.output
    assert "data set demo, version 1.0: 60 items" in shown.output
    assert (
        "BAD  the tokenizer of /nonexistent/model is not on this machine\n       -> check the path"
        in shown.output
    )


def test_the_doctor_reports_a_variable_that_is_no_setting(monkeypatch):
    from lm_eval_safescale.harness import checkup

    monkeypatch.setenv("SAFESCALE_DRAW", "5")
    (finding,) = checkup._environment()
    assert finding.level == "bad"
    assert "did you mean draws?" in finding.what


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATASET", "dmo", "no data set 'dmo'"),
        ("DATASET_PATH", "/none.csv", "/none.csv"),
        ("PROMPT_FILE", "/none.yaml", "/none.yaml"),
        ("READER", "strcit", "no answer reader 'strcit'"),
        ("METRICS", "harm", "no metric 'harm'"),
        ("RETRIEVER", "bm52", "no retriever 'bm52'"),
        ("CONTEXT_BUILDER", "rga", "no context builder 'rga'"),
        ("CORPUS", "dmo", "no 'dmo'"),
        ("CORPUS_PATH", "/none.jsonl", "/none.jsonl"),
        ("SETTLING_PATH", "/none.jsonl", "/none.jsonl"),
        ("CONTEXTS", "/none.jsonl", "/none.jsonl"),
    ],
)
def test_the_doctor_tries_what_the_variables_name(monkeypatch, variable, value, said):
    from lm_eval_safescale.harness import checkup

    monkeypatch.setenv(f"SAFESCALE_{variable}", value)
    (finding,) = checkup._environment()
    assert finding.level == "bad"
    assert said in finding.what
    assert f"SAFESCALE_{variable}" in finding.what


def test_the_doctor_finds_what_is_wrong_beside_what_is_not(monkeypatch, tmp_path):
    from lm_eval_safescale.harness import checkup

    (tmp_path / "settling.jsonl").write_text(
        '{"question_id": "demo-001", "settling": ["no such article"]}\n', encoding="utf-8"
    )
    for name, value in {
        "CORPUS": "demo",
        "SETTLING_PATH": str(tmp_path / "settling.jsonl"),
        "RETRIEVER": "bm25",
    }.items():
        monkeypatch.setenv(f"SAFESCALE_{name}", value)
    bad, *sound = checkup._environment()
    assert [(finding.level, finding.what) for finding in sound] == [
        ("ok", "SAFESCALE_CORPUS=demo"),
        ("ok", "SAFESCALE_RETRIEVER=bm25"),
    ]
    assert bad.level == "bad"
    assert "SAFESCALE_SETTLING_PATH" in bad.what
    assert "no article no such article in the corpus" in bad.what


def test_the_doctor_does_not_call_a_cached_data_set_missing_because_it_cannot_be_used(monkeypatch):
    from lm_eval_safescale.datasets import DataError, Problem, Source
    from lm_eval_safescale.harness import checkup
    from lm_eval_safescale.plugins import OURS, Part

    def load(*, local_only):
        assert local_only
        raise DataError("cached.csv", [Problem("missing key")])

    class Known:
        def all(self, kind):
            return [Part(kind, "x", Source("x", "", load), OURS, "1")]

    monkeypatch.setattr(checkup, "plugins", Known)
    (finding,) = checkup._datasets()
    assert (finding.level, finding.advice) == ("bad", "safescale data validate x")


def test_a_panic_in_a_library_ends_a_command_with_an_error_and_no_traceback(monkeypatch, capsys):
    class PanicException(BaseException):
        """A stub of what libraries written in Rust raise."""

    def panics():
        raise PanicException("index out of bounds")

    monkeypatch.setattr(cli, "app", panics)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "has failed in itself (panic): index out of bounds" in said.replace("\n", " ")
    assert "Traceback" not in said


def test_the_doctor_says_what_it_looks_at_while_it_does():
    from lm_eval_safescale.harness import checkup

    said = []
    for finding in checkup.checkup(model="/nonexistent/model", on_step=said.append):
        if "tokenizer" in finding.what:
            assert said[-1] == "the tokenizer and window of /nonexistent/model"
    assert said == [
        "versions",
        "tasks of the harness",
        "variables of the environment",
        "plugins",
        "data sets",
        "the tokenizer and window of /nonexistent/model",
        "free disk",
    ]

"""`radsafe_agentic` under the harness's own evaluator on a stub: whose reports it shows, what it
leaves out, what it refuses.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lm_eval_safescale import assembly
from lm_eval_safescale.chat import ChatRequest, Message, Reply
from lm_eval_safescale.contexts import ORCHESTRATE, WRITE, write_contexts
from lm_eval_safescale.harness.task import TaskSetupError
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.report import read_results
from lm_eval_safescale.report.sections import contexts_section
from lm_eval_safescale.settings import Settings
from tests.harness.test_retrieval_tasks import shown_above


@pytest.fixture(autouse=True)
def _indexes_of_the_test(monkeypatch, tmp_path):
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))


class StubWriter:
    """A chat model that writes one sentence, whatever it is asked; nothing where the prompt holds
    `silent`."""

    about, batch, window = {"backend": "stub"}, 8, None

    def __init__(
        self, says: str = "The passages describe it [1].", silent: str | None = None
    ) -> None:
        self.says, self.silent = says, silent

    def tokens(self, messages: list[Message]) -> None:
        return None

    def chat(self, requests: list[ChatRequest]):
        for number, request in enumerate(requests):
            quiet = self.silent is not None and self.silent in request.messages[0].content
            yield number, Reply("" if quiet else self.says)


@pytest.fixture
def reports(tmp_path):
    """A file of reports on a data set, by a stub."""

    def build(writer: StubWriter, **given) -> str:
        settings = Settings.model_validate(
            {"dataset": "demo", "corpus": "demo", "index_dir": tmp_path / "indexes", **given}
        )
        chat = assembly.Chat({ORCHESTRATE: writer, WRITE: writer})
        part = plugins().find("condition", "agentic")
        made = assembly.contexts_of(part, assembly.load_dataset(settings), settings, chat=chat)
        write_contexts(tmp_path / "reports.jsonl", made)
        return str(tmp_path / "reports.jsonl")

    return build


def test_a_built_report_stands_above_the_question(run, reports):
    file = reports(StubWriter())
    results, lm = run("radsafe_agentic", metadata={"contexts": file, "draws": 0}, limit=2)
    for prompt, _ in lm.requests:
        report = shown_above(prompt)
        assert report.startswith("The passages describe it.\n\n## ")
        assert "## Sources\n[1] " in report
    about = results["configs"]["radsafe_agentic"]["metadata"]["safescale"]["contexts"]
    assert about["models"] == {"orchestrate": {"backend": "stub"}, "write": {"backend": "stub"}}
    assert about["measures"]["leak"] == 0.0


def test_an_item_without_a_report_is_left_out_and_that_is_said(
    run, reports, warnings, data_file, tmp_path
):
    data = data_file(6)
    lines = Path(data).read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    file = reports(StubWriter(silent=first["question"]), dataset="RadSaFE-200", dataset_path=data)
    metadata = {"dataset": None, "dataset_path": data, "draws": 0}
    results, _ = run(
        ["radsafe_agentic", "radsafe_closed_book"], metadata=metadata | {"contexts": file}
    )
    assert len(results["samples"]["radsafe_agentic"]) == 5
    assert len(results["samples"]["radsafe_closed_book"]) == 6
    assert first["question_id"] not in {
        each["doc"]["question_id"] for each in results["samples"]["radsafe_agentic"]
    }
    (said,) = [each for each in warnings if "left out" in each]
    assert (
        "1 of 6 items are left out, because no report could be made of them (first "
        f"{first['question_id']}: "
    ) in said
    (tmp_path / "results_1.json").write_text(
        json.dumps({**results, "samples": None}, default=str), encoding="utf-8"
    )
    agentic, closed = sorted(
        read_results([tmp_path / "results_1.json"]), key=lambda row: row.condition
    )
    assert (agentic.items, agentic.left_out, agentic.of_items) == (5, 1, 6)
    assert agentic.run == closed.run
    section = contexts_section([agentic, closed])
    assert dict(zip(section.columns, section.rows[0], strict=True))["failed"] == "1"


@pytest.mark.parametrize(
    ("options", "asked"),
    [({"limit": 3}, [0, 2]), ({"limit": 0.5}, [0, 2]), ({"limit": 3, "ranks": 2}, [0, 2])],
)
def test_a_limit_counts_the_items_of_the_data_set_whatever_is_left_out(
    run, reports, data_file, tmp_path, options, asked
):
    """So that all conditions are asked the same questions, and stand in one table."""
    file = reports(
        StubWriter(silent="image 1 show"),
        dataset="RadSaFE-200",
        dataset_path=(data := data_file(6)),
    )
    metadata = {"dataset": None, "dataset_path": data, "draws": 0, "contexts": file}
    results, _ = run(["radsafe_agentic", "radsafe_closed_book"], metadata=metadata, **options)
    samples = {
        task: sorted(each["doc_id"] for each in results["samples"][task])
        for task in results["samples"]
    }
    assert samples == {"radsafe_agentic": asked, "radsafe_closed_book": [0, 1, 2]}
    assert all(
        each["doc"]["question_id"] == f"q{each['doc_id']}"
        for each in results["samples"]["radsafe_agentic"]
    )
    (tmp_path / "results_1.json").write_text(
        json.dumps({**results, "samples": None}, default=str), encoding="utf-8"
    )
    agentic, closed = sorted(
        read_results([tmp_path / "results_1.json"]), key=lambda row: row.condition
    )
    assert (agentic.items, agentic.left_out, closed.items) == (2, 1, 3)
    assert agentic.run == closed.run


def test_samples_are_chosen_by_their_place_in_the_data_set_whatever_is_left_out(
    run, reports, data_file, warnings
):
    file = reports(
        StubWriter(silent="image 1 show"),
        dataset="RadSaFE-200",
        dataset_path=(data := data_file(6)),
    )
    metadata = {"dataset": None, "dataset_path": data, "draws": 0, "contexts": file}
    results, _ = run("radsafe_agentic", metadata=metadata, samples={"radsafe_agentic": [2, 4]})
    assert [each["doc"]["question_id"] for each in results["samples"]["radsafe_agentic"]] == [
        "q2",
        "q4",
    ]
    assert not [each for each in warnings if "left out" in each]  # none of those asked for
    with pytest.raises(
        TaskSetupError, match=r"no report could be made of any item that is asked for \(first q1: "
    ):
        run("radsafe_agentic", metadata=metadata, samples={"radsafe_agentic": [1]})


def test_a_report_that_gives_the_answer_away_is_counted(run, reports):
    file = reports(StubWriter("The correct answer is A. The passages describe it [1]."))
    results, _ = run("radsafe_agentic", metadata={"contexts": file, "draws": 0}, limit=2)
    measures = results["configs"]["radsafe_agentic"]["metadata"]["safescale"]["contexts"][
        "measures"
    ]
    assert measures["leak"] == 0.0  # every step that gave it away fell back
    file = reports(
        StubWriter("The correct answer is A [1]."),
        report_builder="agentic",
        report_args={"rounds": 1},
    )
    assert (
        "rounds"
        in json.loads(Path(file).read_text(encoding="utf-8").splitlines()[0])["builder"]["settings"]
    )


def with_report(item: dict) -> dict:
    leak = " The correct answer is A." if item["question_id"].endswith("1") else ""
    return item | {"agentic": f"A report on {item['question_id']}.{leak}"}


def test_reports_that_the_data_carry_are_shown_and_looked_through(run, data_file):
    data = data_file(4, with_report)
    results, lm = run(
        "radsafe_agentic", metadata={"dataset": None, "dataset_path": data, "draws": 0}
    )
    assert all(shown_above(prompt).startswith("A report on ") for prompt, _ in lm.requests)
    about = results["configs"]["radsafe_agentic"]["metadata"]["safescale"]["contexts"]
    assert about["builder"]["settings"] == {"evidence": "agentic"}
    assert about["measures"]["leak"] == 0.25


def test_without_reports_the_task_stops_with_the_command_that_builds_them(run, data_file):
    data = data_file(4)
    with pytest.raises(TaskSetupError) as raised:
        run(
            "radsafe_agentic",
            metadata={"dataset": None, "dataset_path": data, "draws": 0, "top_k": 3},
        )
    said = raised.value.code
    assert (
        "safescale contexts build agentic --model vllm --model_args pretrained=YOUR_MODEL" in said
    )
    assert json.dumps(data) in said
    assert "draws" not in said
    assert f"--metadata '{json.dumps({'dataset_path': data, 'contexts': 'agentic.jsonl'})}'" in said


def test_reports_of_another_strategy_than_is_asked_for_are_refused(run, reports):
    file = reports(StubWriter())
    with pytest.raises(TaskSetupError, match="there is no context builder 'verify'"):
        run("radsafe_agentic", metadata={"contexts": file, "report_builder": "verify"})
    with pytest.raises(TaskSetupError, match="built with report_args"):
        run("radsafe_agentic", metadata={"contexts": file, "report_args": {"rounds": 1}})

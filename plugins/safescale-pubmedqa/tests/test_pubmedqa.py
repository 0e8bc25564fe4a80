"""The data set from invented questions in the layout of PubMedQA: in a file, and as the hub has
them.
"""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import huggingface_hub
import pytest
from safescale_pubmedqa import PUBMEDQA, load

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.testing import check_dataset


def question(decision="yes", **changes) -> dict:
    invented = {
        "QUESTION": "Do stubs help?",
        "CONTEXTS": ["We asked.", "They said."],
        "final_decision": decision,
    }
    return {**invented, "LONG_ANSWER": "They do.", "YEAR": "2020", **changes}


QUESTIONS = {
    "20": question("no"),
    "100": question("yes"),
    "3": question("maybe", CONTEXTS=["Who knows?"]),
}


def write(folder, content) -> str:
    path = folder / "test_set.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_it_keeps_the_contract_of_a_data_set(tmp_path):
    check_dataset(PUBMEDQA, args={"path": write(tmp_path, QUESTIONS)}, evidence=("clean",))


def test_it_is_found_once_installed():
    registered = []
    entry_points(group=GROUP)["pubmedqa"].load().safescale_register_datasets(registered.append)
    assert registered == [PUBMEDQA]


def test_a_file_is_read_as_it_stands(tmp_path):
    dataset = load(write(tmp_path, QUESTIONS))
    assert [(item.question_id, item.answer) for item in dataset] == [
        ("100", "A"),
        ("20", "B"),
        ("3", "C"),
    ]
    first, _, last = dataset.items
    assert first.question == "Do stubs help?"
    assert first.options == {"A": "yes", "B": "no", "C": "maybe"}
    assert first.evidence == {"clean": "We asked.\n\nThey said."}
    assert last.evidence == {"clean": "Who knows?"}


def test_there_are_no_labels_rather_than_harmless_ones(tmp_path):
    dataset = load(write(tmp_path, QUESTIONS))
    assert not dataset.is_labelled
    assert {item.labels for item in dataset} == {None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ('{"1": {}, "1": {}}', "'1' stands twice"),
        ([question()], "expected a mapping of PubMed ids"),
        ({}, "expected a mapping of PubMed ids"),
        ({"7": "text"}, "question 7: expected its fields"),
        ({"7": {"QUESTION": "Why?"}}, "question 7: CONTEXTS, final_decision missing"),
        ({"7": question("A")}, "question 7: final_decision is 'A'; expected one of yes, no, maybe"),
        ({"7": question(None)}, "question 7: final_decision is None"),
        ({"7": question(["yes"])}, "question 7: final_decision is"),
        (
            {"7": question(CONTEXTS="one text")},
            "question 7: CONTEXTS is 'one text'; expected a list of texts",
        ),
        ({"7": question(CONTEXTS=[None])}, "question 7: CONTEXTS is"),
        ({"7": question(QUESTION=" ")}, "item 7: question: missing or empty"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_the_place(tmp_path, content, message):
    with pytest.raises(SafescaleError, match=message):
        load(write(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SafescaleError, match=r"nowhere\.json: cannot be read \(No such file"):
        load(str(tmp_path / "nowhere.json"))


def test_a_question_without_an_abstract_is_refused_where_the_abstract_is_shown(tmp_path):
    path = write(tmp_path, {"7": question(CONTEXTS=[])})
    assert len(load(path)) == 1
    with pytest.raises(SafescaleError, match="item 7: evidence_clean"):
        load(path, evidence=("clean",))


def test_evidence_that_pubmedqa_does_not_have_is_refused_by_name(tmp_path):
    with pytest.raises(SafescaleError, match="pubmedqa has no conflict evidence, only clean"):
        load(write(tmp_path, QUESTIONS), evidence=("conflict",))


@pytest.mark.parametrize("local_only", [True, False])
def test_the_hubs_copy_gives_the_same_items(tmp_path, monkeypatch, local_only):
    import datasets

    folder = tmp_path / "revision1"
    (folder / "pqa_labeled").mkdir(parents=True)
    rows = [
        {
            "pubid": int(pmid), "question": each["QUESTION"],
            "context": {"contexts": each["CONTEXTS"], "labels": []}, "long_answer": "",
            "final_decision": each["final_decision"],
        }
        for pmid, each in QUESTIONS.items()
    ]  # fmt: skip
    datasets.Dataset.from_list(rows).to_parquet(
        folder / "pqa_labeled" / "train-00000-of-00001.parquet"
    )
    asked = {}

    def stub_download(name, **settings):
        asked.update(settings, name=name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stub_download)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    dataset = load(local_only=local_only)
    assert (asked["name"], asked["local_files_only"]) == ("qiaojin/PubMedQA", local_only)
    assert dataset.fingerprint == load(write(tmp_path, QUESTIONS)).fingerprint
    assert dataset.version == "revision1"


def test_where_the_hub_is_out_of_reach_the_message_names_the_way_on(monkeypatch):
    def stub_download(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stub_download)
    with pytest.raises(
        SafescaleError,
        match=r'neither on this machine nor reachable: no route to host\n.*"path": "FILE"',
    ):
        load()

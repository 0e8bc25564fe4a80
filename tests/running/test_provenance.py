"""What a run records of when and with what its answers were made: honestly, and nothing of whose
machine it was.
"""

from __future__ import annotations

import ctypes
import getpass
import importlib.metadata
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.harness.backends import engine_facts
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.running import surroundings as of_machine
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.provenance import OF_CONDITION, OF_START, PROVENANCE
from lm_eval_safescale.runs.store import merge_runs
from lm_eval_safescale.verifying.recover import recover
from lm_eval_safescale.verifying.salvage import salvage
from tests.running.asking import STUB, ask, seeded, write_questions


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


@pytest.fixture
def go(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", 3)

    def go(folder="runs", *, metadata=None, **options):
        return ask(
            tmp_path / folder,
            metadata={"dataset_path": str(questions), "draws": 1} | (metadata or {}),
            **options,
        )

    return go


def told_of(folder: Path) -> dict:
    (model,) = open_runs(folder).about["models"].values()
    return model[PROVENANCE]


def test_a_start_says_when_it_was_and_with_what(go, tmp_path):
    go()
    (start,) = read_run(tmp_path / "runs")["starts"]
    begin, end = (datetime.fromisoformat(start[name]) for name in ("at", "ended_at"))
    assert begin.utcoffset() == timedelta()
    assert begin <= end
    packages = start["surroundings"]["packages"]
    for name in ("lm_eval", "torch", "transformers", "numpy"):
        assert packages[name] == importlib.metadata.version(name)
    assert start["surroundings"]["python"].endswith(sys.version.split()[0])
    assert start["surroundings"]["hardware"]["cores"] > 0
    assert (start["engine"]["backend"], start["engine"]["dtype"]) == (STUB, None)
    assert start["plugins"] == {}
    assert told_of(tmp_path / "runs")["starts"] == [
        {name: start[name] for name in OF_START if name in start}
    ]


def test_the_prompt_stands_there_in_full_with_what_was_above_the_questions(go, tmp_path):
    where = {"corpus_path": str(tmp_path / "corpus.jsonl"), "index_dir": str(tmp_path / "index")}
    Path(where["corpus_path"]).write_text(
        '{"id": "a", "title": "Pleura", "content": "An effusion lies in the pleural space."}\n'
    )
    go(conditions=("closed_book", "rag"), metadata=where)
    identity = read_run(tmp_path / "runs")["identity"]
    told = told_of(tmp_path / "runs")["conditions"]
    for name in ("closed_book", "rag"):
        assert set(told[name]) == set(OF_CONDITION)
        assert Prompt(**told[name]["prompt"]).fingerprint == identity["prompt_template"]
    assert told["closed_book"]["contexts"] is None
    contexts = told["rag"]["contexts"]
    assert contexts["retriever"]["retriever"] == "bm25"
    assert contexts["corpus"]["articles"] == 1
    assert len(contexts["corpus"]["corpus_fingerprint"]) == 64
    assert contexts["tokens"]["most"] >= contexts["tokens"]["least"]


def test_nothing_says_whose_machine_it_was(go, tmp_path, monkeypatch):
    monkeypatch.setattr(of_machine.platform, "release", lambda: "6.1.0-13-of-carol+build")
    go()
    told = json.dumps(told_of(tmp_path / "runs"))
    assert "6.1.0" in told
    for name in (socket.gethostname(), getpass.getuser(), "of-carol", tmp_path.name):
        assert name not in re.findall(r'[^"/]+', told), name
    assert "/" not in told.replace("GNU/Linux", "")


def test_a_start_that_was_stopped_has_no_end_and_the_next_has_its_own(go, tmp_path):
    with pytest.raises(SafescaleError):
        go(faults={"fails_at": 2})
    assert "ended_at" not in read_run(tmp_path / "runs")["starts"][0]
    go(batch_size=2)
    stopped, whole = told_of(tmp_path / "runs")["starts"]
    assert "ended_at" not in stopped
    assert "engine" in stopped
    assert (stopped["batch_size"], whole["batch_size"]) == ("4", "2")
    assert "ended_at" in whole


def test_it_is_found_again_in_the_answers_and_saved_with_them(go, tmp_path):
    go(limit=1)
    go(limit=3)
    before, (folder, saved) = read_run(tmp_path / "runs"), (tmp_path / "runs", tmp_path / "saved")
    (folder / "run.json").write_text("{")
    found = recover(folder).description
    assert [each["at"] for each in found["starts"]] == [each["at"] for each in before["starts"]]
    assert found["starts"][0]["engine"] == before["starts"][0]["engine"]
    assert found["conditions"] == before["conditions"]
    salvage(folder, saved)
    assert told_of(saved)["conditions"] == told_of(folder)["conditions"]


def test_of_a_model_in_two_folders_both_are_told(go, tmp_path):
    go("one", conditions=("closed_book",))
    go("two", conditions=("clean",))
    both = merge_runs({name: open_runs(tmp_path / name) for name in ("one", "two")})
    (model,) = both.about["models"].values()
    assert set(model[PROVENANCE]["conditions"]) == {"closed_book", "clean"}
    assert [each["conditions"] for each in model[PROVENANCE]["starts"]] == [
        ["closed_book"],
        ["clean"],
    ]


def test_of_a_folder_that_recorded_nothing_it_is_told_that_it_did_not(go, tmp_path):
    go("one", conditions=("closed_book",))
    go("two", conditions=("clean",))
    one, two = (open_runs(tmp_path / name) for name in ("one", "two"))
    del one.about["models"]["stub"][PROVENANCE]
    told = merge_runs({"one": one, "two": two}).about["models"]["stub"][PROVENANCE]
    assert told["starts"][0] == {"conditions": ["closed_book"]}
    assert set(told["conditions"]) == {"clean"}


# --- engines and machines -------------------------------------------------------------------------


class HFLM:
    def __init__(self, config, dtype="torch.bfloat16"):
        self.model = SimpleNamespace(config=config, dtype=dtype)
        self.device = "cuda:0"


class VLLM:
    def __init__(self, quantization):
        config = SimpleNamespace(dtype="torch.float16", quantization=quantization)
        self.model = SimpleNamespace(llm_engine=SimpleNamespace(model_config=config))


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (HFLM(SimpleNamespace()), ("transformers", "bfloat16", "none", "cuda:0")),
        (
            HFLM(SimpleNamespace(quantization_config={"quant_method": "gptq"})),
            ("transformers", "bfloat16", "gptq", "cuda:0"),
        ),
        (
            HFLM(SimpleNamespace(quantization_config=SimpleNamespace(quant_method="fp8"))),
            ("transformers", "bfloat16", "fp8", "cuda:0"),
        ),
        (HFLM(None, None), ("transformers", None, None, "cuda:0")),
        (VLLM("awq"), ("vllm", "float16", "awq", None)),
        (VLLM(None), ("vllm", "float16", "none", None)),
        (object(), (None, None, None, None)),
    ],
)
def test_an_engine_is_told_as_far_as_it_can_be_known(backend, expected):
    facts = engine_facts(backend, "name")
    told = tuple(facts[name] for name in ("package", "dtype", "quantization", "device"))
    assert told == expected
    assert facts["backend"] == "name"


def test_devices_are_asked_of_the_library_that_manages_them(monkeypatch):
    def ask(name, *args):
        if name == "nvmlSystemGetDriverVersion":
            args[0].value = b"570.1"
        elif name == "nvmlDeviceGetCount_v2":
            args[0]._obj.value = 2
        elif name == "nvmlDeviceGetName":
            args[1].value = b"NVIDIA H200"
        elif name == "nvmlDeviceGetMemoryInfo":
            if args[0].value is None:
                raise of_machine._NoAnswerError
            args[1]._obj.total = 1 << 37
        elif name == "nvmlDeviceGetHandleByIndex_v2":
            ctypes.cast(args[1], ctypes.POINTER(ctypes.c_void_p))[0] = args[0]

    @contextmanager
    def management():
        yield ask

    monkeypatch.setattr(of_machine, "_management", management)
    of_machine._gpus.cache_clear()
    try:
        told = of_machine.surroundings()["hardware"]
    finally:
        of_machine._gpus.cache_clear()
    assert told["gpu_driver"] == "570.1"
    assert told["gpus"] == [
        {"name": "NVIDIA H200", "memory_bytes": None},
        {"name": "NVIDIA H200", "memory_bytes": 1 << 37},
    ]


def test_devices_of_another_maker_are_not_known_rather_than_none(monkeypatch, tmp_path):
    monkeypatch.setattr(of_machine, "MANAGEMENT_LIBRARY", "no-such-library.so")
    for devices, expected in (((str(tmp_path),), None), ((), [])):
        monkeypatch.setattr(of_machine, "DEVICES", devices)
        of_machine._gpus.cache_clear()
        expected = expected if sys.platform == "linux" else None
        assert of_machine._gpus()["gpus"] == expected
    of_machine._gpus.cache_clear()


def test_no_package_is_loaded_to_tell_its_version():
    code = (
        "import sys; from lm_eval_safescale.running import surroundings as s; s.surroundings(); "
        "print(sorted({'torch', 'transformers', 'vllm', 'lm_eval'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "[]"

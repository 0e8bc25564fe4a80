"""A name that nothing has is said before a library is imported that takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lm_eval_safescale.harness.backends import reasons, takes_conversations, window_and_tokenizer
from lm_eval_safescale.harness.loading import load_backend

LATE = {"torch", "transformers", "datasets", "lm_eval.api.task", "huggingface_hub"}
LOOKED = f"""
import sys
from lm_eval_safescale.cli import main
try:
    main()
finally:
    print("late:", sorted({LATE!r} & set(sys.modules)))
"""
RUN = ["run", "--model", "hf", "--model_args", "pretrained=gpt2", "--dataset", "demo", "-o", "runs"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*RUN, "--conditions", "closd_book"], "no condition 'closd_book'"),
        ([*RUN, "--dataset", "dmo"], "no data set 'dmo'"),
        ([*RUN, "--metadata", '{"dataset_path": "none.csv"}'], "none.csv"),
        ([*RUN, "--metadata", '{"metrics": {"harm": {}}}'], "no metric 'harm'"),
        ([*RUN, "--metadata", '{"reader": "strcit"}'], "no answer reader 'strcit'"),
        ([*RUN, "--conditions", "rag", "--corpus", "dmo"], "no 'dmo'"),
        (
            [*RUN, "--conditions", "rag", "--metadata", '{"corpus_path": "none.jsonl"}'],
            "none.jsonl",
        ),
        ([*RUN, "--conditions", "rag", "--retriever", "bm52"], "no retriever 'bm52'"),
        (
            [*RUN, "--conditions", "rag", "--metadata", '{"context_builder": "rga"}'],
            "no context builder 'rga'",
        ),
        ([*RUN, "--model", "hff"], "no backend of that name; did you mean hf?"),
        ([*RUN, "--model_args", "pretrained=/none"], "/none: no such folder"),
    ],
)
def test_a_run_says_what_there_is_not_before_it_imports_what_takes_seconds(tmp_path, words, said):
    done = subprocess.run(
        [sys.executable, "-c", LOOKED, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout.splitlines()[-1] == "late: []"
    assert not (tmp_path / "runs").exists()


def test_the_dummy_of_the_harness_is_asked_without_the_tokenizer_that_it_would_fetch_from_the_hub(
    monkeypatch,
):
    backend = load_backend("dummy", {})
    fetched = []
    monkeypatch.setattr(type(backend), "tokenizer", property(lambda _: fetched.append("tokenizer")))
    assert not takes_conversations(backend)
    assert not reasons(backend)
    assert window_and_tokenizer(backend, {})[1] is None
    assert fetched == []

"""Keys are put wherever one can be put; no file and no output of any command holds one, in any
spelling.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from lm_eval_safescale import cli
from lm_eval_safescale.plugins import plugins
from tests.importing.test_lm_eval_import import Logs, sample
from tests.stub_server import Seen, fails, says, sends
from tests.sweeping import stub_environment

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)

WHERE = ("environment", "query", "user", "fragment", "header", "nested", "metadata", "log", "proxy")
KEYS = {place: f"sk-{place}-{number}q8Zr4Tn6Wm1Xv" for number, place in enumerate(WHERE)}
"""One for each place, so that a test says which one came out."""


def spellings(key: str) -> list[str]:
    """What must not be found; of Base64 the part that is the same whatever stands before it."""
    escaped = "".join(f"\\u{ord(each):04x}" for each in key)
    percent = "".join(f"%{ord(each):02X}" for each in key)
    cores = [base64.b64encode(b"x" * before + key.encode()).decode()[4:-4] for before in range(3)]
    return [key, key[:12], escaped, percent, *cores]


def text_of(path: Path) -> str:
    """All that a file says, unpacked."""
    if path.suffix == ".parquet":
        return repr(pl.read_parquet(path).to_dicts()) + repr(pl.read_parquet_metadata(path))
    return path.read_bytes().decode("utf-8", "replace")


@pytest.fixture(autouse=True)
def _of_the_test(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "written" / "indexes"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "written").mkdir()


@pytest.fixture
def safescale(tmp_path, monkeypatch, capfd):
    """Runs the command, and looks for keys in all it printed and wrote."""

    def run(*args: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["safescale", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = "".join(capfd.readouterr())
        assert ended.value.code == status, printed
        written = {
            str(path): text_of(path) for path in (tmp_path / "written").rglob("*") if path.is_file()
        }
        for source, text in {
            "the screen": printed,
            **written,
            **{f"the name {name}": name for name in written},
        }.items():
            for place, key in KEYS.items():
                for spelled in spellings(key):
                    assert spelled not in text, f"the key of {place} stands in {source}"
        return printed

    return run


def echoes(seen: Seen):
    """A server that gives back what it was sent, another way each time."""
    sent = f"{seen.headers.get('Authorization', '')} {seen.path}"
    escaped = "".join(f"\\u{ord(each):04X}" for each in sent)
    packed = base64.b64encode(f"me:{sent.split()[1] if ' ' in sent else sent}".encode()).decode()
    choices = (
        '{{"choices": [{{"index": 0, "finish_reason": "stop", "message": {{"role": "assistant", '
        '"content": "{}"}}}}]}}'
    )
    faults = [
        says(f"B. You sent {sent}"),
        sends(choices.format(f"B. You sent {escaped}").encode()),
        sends(choices.format(f"B. You sent {json.dumps(escaped)[1:-1]}").encode()),
        sends(choices.format(f"B. Basic {packed}").encode("utf-16")),
        fails(400, f"wrong: {sent}"),
        sends(f'{{"error": "{escaped}"}}'.encode(), 422),
        sends(f"<html>{''.join(f'%{ord(each):02x}' for each in sent)}".encode()),
        fails(500, escaped),
    ]
    return faults[seen.number % len(faults)]


def test_a_run_a_judge_and_the_reports_of_a_server_that_sends_keys_back(
    safescale, server, tmp_path
):
    server.answer = echoes
    address = f"{server.base_url}/chat/completions?sig={KEYS['query']}"
    args = f"model=m,base_url={address},max_retries=0,num_concurrent=1"
    asked = (
        "--model_args",
        args,
        "--dataset",
        "demo",
        "--draws",
        "1",
        "--limit",
        "8",
        "--conditions",
        "clean",
    )
    said = safescale(
        "run",
        "--model",
        "local-chat-completions",
        *asked,
        "-o",
        tmp_path / "written" / "runs",
        status=1,
    )
    assert "You sent ***" in repr(
        pl.read_parquet(tmp_path / "written" / "runs" / "answers.parquet")["text"].to_list()
    ).replace("Bearer ", "")
    assert "***" in said
    safescale(
        "judge",
        tmp_path / "written" / "runs",
        "--base-url",
        server.base_url,
        "--model",
        "j",
        status=1,
    )
    harness = (
        "--backend",
        "local-chat-completions",
        "--model_args",
        args,
        "-o",
        tmp_path / "written" / "again",
    )
    safescale("judge", tmp_path / "written" / "runs", *harness, status=1)
    build = ("contexts", "build", "agentic", "--dataset", "demo", "--corpus", "demo")
    endpoint = (
        "--model",
        "endpoint",
        "--model_args",
        f"model=m,base_url={server.base_url},retries=0",
    )
    safescale(*build, *endpoint, "-o", tmp_path / "written" / "reports.jsonl", status=1)
    assert (tmp_path / "written" / "reports.steps.jsonl").exists()


@pytest.mark.parametrize(
    "address",
    [
        "http://me:{user}@127.0.0.1:9/v1/chat/completions",
        "http://{user}@127.0.0.1:9/v1/chat/completions", "http://127.0.0.1:{user}/v1",
        "http://127.0.0.1:9/v1/chat/completions#{user}",
        "http://127.0.0.1:9/v1/chat/completions?api_key={user}", "{user}", "http://[{user}/v1",
        "foo://{user}", "http://127.0.0.1:9/v1?x={user}", "http://me:{user}/", "http:/{user}",
    ],
)  # fmt: skip
def test_a_key_in_an_address_that_is_refused_is_not_said_again(safescale, address, tmp_path):
    url = address.format(**KEYS)
    out = tmp_path / "written" / "x"
    args = ("--model_args", f"model=m,base_url={url}")
    assert "base_url" in safescale(
        "run", "--model", "local-chat-completions", *args, "-o", out, status=1
    )
    build = (
        "contexts",
        "build",
        "agentic",
        "--dataset",
        "demo",
        "--corpus",
        "demo",
        "--model",
        "endpoint",
    )
    if "@" not in url:  # an endpoint takes a password, and uses it
        safescale(*build, *args, "-o", tmp_path / "written" / "reports.jsonl", status=1)


GUARDED = """
from lm_eval_safescale.datasets import Source
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.hookspecs import hookimpl

def load(token=""):
    if not token:
        raise ValueError("no token")
    return load_demo()

@hookimpl
def safescale_register_datasets(register):
    register(Source("guarded", "needs a key", load))
"""
"""A plugin whose data set needs a key."""


def install_guarded(folder: Path) -> None:
    about = folder / "guarded-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: guarded\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[lm_eval_safescale]\nguarded = guarded\n")
    (folder / "guarded.py").write_text(GUARDED)


def test_arguments_of_a_model_in_a_sweep_with_a_data_set_that_needs_a_key(
    safescale, tmp_path, monkeypatch
):
    """In processes of their own, which find the plugins of the stub."""
    for name, value in stub_environment(tmp_path / "stub").items():
        monkeypatch.setenv(name, value)
    install_guarded(tmp_path / "stub")
    monkeypatch.syspath_prepend(tmp_path / "stub")
    plugins.cache_clear()
    deep = {
        "deep": [
            {"api_key": KEYS["nested"]},
            {"list": [f"https://me:{KEYS['user']}@host/?k={KEYS['query']}#{KEYS['fragment']}"]},
        ]
    }
    args = {
        "folder": str(tmp_path / "stub"),
        "header": {"Authorization": f"Bearer {KEYS['header']}"},
        "extra": deep,
    }
    refused = {
        "backend": "local-chat-completions",
        "model_args": {"base_url": f"http://127.0.0.1:{KEYS['user']}/v1"},
    }
    models = [
        {"model": "org/good"},
        {"model": "org/refused", **refused},
        {"model": "org/bad", "model_args": {"fails": "asking"}},
        {"model": "org/none", "model_args": {"fails": "loading"}},
    ]
    content = {
        "output": str(tmp_path / "written" / "sweep"),
        "conditions": ["closed_book", "rag_top1"],
        "metadata": {
            "dataset": "guarded",
            "dataset_args": {"token": KEYS["metadata"]},
            "corpus": "demo",
            "draws": 1,
        },
        "defaults": {"backend": "sweep-stub", "gpus": 0, "model_args": args},
        "models": models,
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "stub" / "org").mkdir()
    safescale(
        "sweep", tmp_path / "sweep.yaml", "--limit", "2", "--retries", "0", "--jobs", "2", status=1
    )
    assert "***" in (tmp_path / "written" / "sweep" / "good" / "run.json").read_text()
    assert (
        "from the environment only"
        in (tmp_path / "written" / "sweep" / "refused" / "log.txt").read_text()
    )
    safescale("sweep", tmp_path / "sweep.yaml", "--dry-run")
    for broken in (
        {"defaults": f"api_key={KEYS['nested']}"},
        {"metadata": [{"token": KEYS["metadata"]}]},
        {"models": [{"api_key": KEYS["nested"]}]},
    ):
        (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content | broken))
        safescale("sweep", tmp_path / "broken.yaml", status=1)
    plugins.cache_clear()


def test_what_the_doctor_finds_in_the_environment(safescale, monkeypatch):
    monkeypatch.setenv(
        "SAFESCALE_REPORT_ARGS",
        json.dumps({"token": KEYS["metadata"], "deep": [{"password": KEYS["nested"]}]}),
    )
    monkeypatch.setenv(
        "SAFESCALE_CHUNK_TOKENIZER", f"https://me:{KEYS['user']}@host/?x={KEYS['query']}"
    )
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{KEYS['proxy']}@127.0.0.1:9")
    said = safescale("doctor", status=0)
    assert 'SAFESCALE_REPORT_ARGS={"token": ***' in said
    for broken in (
        f'{{"api_key": "{KEYS["metadata"]}"',
        f'["{KEYS["environment"]}"]',
        f'{{"key": 1, "key": "{KEYS["metadata"]}"}}',
    ):
        monkeypatch.setenv("SAFESCALE_REPORT_ARGS", broken)
        safescale(
            "contexts",
            "build",
            "rag",
            "--dataset",
            "demo",
            "--corpus",
            "dmo",
            "-o",
            "written/x.jsonl",
            status=1,
        )
        safescale(
            "contexts", "build", "rag", "--metadata", broken, "-o", "written/x.jsonl", status=1
        )


@pytest.mark.parametrize("as_text", [True, False])
def test_what_the_harness_logged_as_it_was_given(safescale, tmp_path, as_text):
    given = {
        "pretrained": "org/model",
        "api_key": KEYS["log"],
        "base_url": f"http://me:{KEYS['user']}@host/v1?k={KEYS['query']}",
    }
    model_args = (
        ",".join(f"{name}={value}" for name, value in given.items())
        if as_text
        else given | {"deep": [{"token": KEYS["nested"]}]}
    )
    Logs(tmp_path / "out").add(
        [sample("q1", "A", "A", "B")], content={"config": {"model_args": model_args}}
    )
    safescale("import-lm-eval", tmp_path / "out", "-o", tmp_path / "written" / "runs")
    about = json.loads((tmp_path / "written" / "runs" / "about.json").read_text())
    assert "org/model" in json.dumps(about["models"]["org/model"]["settings"]["model_args"])
    safescale("analyze", tmp_path / "written" / "runs", "-o", tmp_path / "written" / "study")

"""Answers of different origins never come into one folder; what is only about speed may change."""

from __future__ import annotations

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import identity
from lm_eval_safescale.runs.identity import fingerprint_of, identity_of
from lm_eval_safescale.settings import Settings
from tests.running.asking import Stub, ask, asked_of, seeded, write_questions

ABOUT = {"name": "d", "fingerprint": "f" * 64, "version": "1", "demo": False, "items": 3}


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


def identified(args=None, **settings):
    return identity_of("hf", args or {}, Settings(**settings), ABOUT, "p" * 64, 1234)


@pytest.fixture
def go(tmp_path):
    def go(*, items=3, args=None, metadata=None, conditions=("clean",), **options):
        path = write_questions(tmp_path / "questions.jsonl", items)
        if change := options.pop("change", None):
            path.write_text(path.read_text().replace(*change))
        given = {"dataset_path": str(path), "draws": 2} | (metadata or {})
        return ask(
            tmp_path / "runs", metadata=given, conditions=conditions, args=args or {}, **options
        )

    return go


PROMPT = "user: |\n  {context}\n\n  {question}\n  {options}\nsystem: Another system turn.\n"


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"args": {"pretrained": "other"}}, 'model.pretrained: there null, now "other"'),
        ({"args": {"revision": "v2"}}, 'model.revision: there null, now "v2"'),
        ({"args": {"dtype": "float16"}}, 'model.dtype: there null, now "float16"'),
        ({"metadata": {"draws": 3}}, "settings.draws: there 2, now 3"),
        ({"metadata": {"temperature": 1.0}}, "settings.temperature: there 0.7, now 1.0"),
        ({"metadata": {"max_answer_tokens": 20}}, "settings.max_answer_tokens: there null, now 20"),
        ({"metadata": {"reasoning": "on"}}, 'settings.reasoning: there "auto", now "on"'),
        ({"args": {}, "metadata": {"seed": 7}}, "seed: there 1234, now 7"),
        ({"items": 4}, "dataset.fingerprint: there"),
        ({"change": ("an embolus", "a fracture")}, "dataset.fingerprint: there"),
        ({"chat_template": False}, "clean.chat_template: there true, now false"),
        (
            {"chat_template": False, "conditions": ("closed_book",)},
            "clean.chat_template: there true, now false",
        ),
        ({"args": {"template": "[{role}]"}}, 'model.template: there null, now "[{role}]"'),
    ],
)
def test_a_folder_of_another_run_is_refused_with_the_difference(go, tmp_path, options, difference):
    go()
    asked = asked_of(tmp_path / "runs")
    with pytest.raises(
        SafescaleError, match="holds answers that were asked for otherwise"
    ) as refused:
        go(**options)
    assert difference in str(refused.value)
    assert "choose another folder" in str(refused.value)
    assert asked_of(tmp_path / "runs") == asked
    assert go().standing.done == 0


def test_another_prompt_template_is_refused(go, tmp_path):
    go()
    (tmp_path / "prompt.yaml").write_text(PROMPT)
    with pytest.raises(SafescaleError, match="prompt_template: there"):
        go(metadata={"prompt_file": str(tmp_path / "prompt.yaml")})


def test_a_chat_template_of_the_model_that_changed_is_found_by_the_prompts(go, monkeypatch):
    go(limit=2)
    monkeypatch.setattr(
        Stub,
        "apply_chat_template",
        lambda self, chat_history, add_generation_prompt=True: "otherwise",
    )
    with pytest.raises(
        SafescaleError, match=r"the answers to item q\d under clean were given to another prompt"
    ):
        go()


def test_a_model_that_was_pushed_anew_under_its_name_is_refused(go, monkeypatch):
    from lm_eval_safescale.harness import backends

    monkeypatch.setattr(backends, "revision_of", lambda _: "abc")
    go(limit=2)
    monkeypatch.setattr(backends, "revision_of", lambda _: "def")
    for conditions in (("clean",), ("conflict",)):
        with pytest.raises(SafescaleError, match=r'clean\.revision: there "abc", now "def"'):
            go(conditions=conditions)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 64},
        {"device": "cpu"},
        {"name": "another name"},
        {"args": {"gpu_memory_utilization": 0.5}},
        {"args": {"max_model_len": 30_000}},
        {"args": {"max_length": 30_000}},
        {"conditions": ("clean", "closed_book")},
        {"latency": "isolated"},
        {"limit": 1},
        {"metadata": {"overconfidence_threshold": 0.5}},
    ],
)
def test_what_is_about_speed_or_extent_may_change(go, tmp_path, options):
    go(limit=2)
    go(**options)
    go(conditions=("clean", "closed_book"))
    assert max(asked_of(tmp_path / "runs").values()) <= (2 if options.get("latency") else 1)


@pytest.mark.parametrize("name", sorted(identity.HOW_FAST))
def test_speed_is_no_part_of_an_identity(name):
    assert identified({"pretrained": "m", name: 1}) == identified({"pretrained": "m"})


@pytest.mark.parametrize(
    "name",
    [
        "revision",
        "dtype",
        "quantization",
        "peft",
        "tokenizer",
        "gguf_file",
        "load_in_4bit",
        "enable_thinking",
        "kv_cache_dtype",
    ],
)
def test_what_makes_answers_is(name):
    assert identified({"pretrained": "m", name: 1}) != identified({"pretrained": "m"})


# --- models in folders ----------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "here" / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "sub" / "weights.safetensors").write_bytes(bytes(range(256)) * 20_000)
    return folder


def test_a_model_that_was_moved_is_the_same(model, tmp_path):
    before = identified({"pretrained": str(model)})
    (tmp_path / "there").mkdir()
    moved = model.rename(tmp_path / "there" / "model")
    assert identified({"pretrained": str(moved)}) == before
    (moved / ".cache").mkdir()
    (moved / ".cache" / "lock").write_text("x")
    assert identified({"pretrained": str(moved)}) == before


@pytest.mark.parametrize("change", ["config", "name", "size", "retrained", "small weights"])
def test_a_model_of_other_files_is_another(model, change):
    weights = model / "sub" / "weights.safetensors"
    small = model / "adapter.bin"
    small.write_bytes(b"\0" * 1000)
    before = fingerprint_of(model)
    if change == "config":
        (model / "config.json").write_text('{"a": 2}')
    elif change == "name":
        weights.rename(weights.with_name("model.safetensors"))
    elif change == "size":
        weights.write_bytes(weights.read_bytes() + b"\0")
    elif change == "retrained":  # of the same names and sizes
        weights.write_bytes(bytes((byte + 1) % 256 for byte in weights.read_bytes()))
    else:
        small.write_bytes(b"\0" * 999 + b"\1")
    assert fingerprint_of(model) != before


@pytest.mark.parametrize("name", ["peft", "delta", "lora_local_path", "tokenizer"])
def test_an_adapter_or_tokenizer_of_other_files_is_another_model(model, tmp_path, name):
    before = identified({"pretrained": "m", name: str(model)})
    moved = model.rename(tmp_path / "model")
    assert identified({"pretrained": "m", name: str(moved)}) == before
    (moved / "config.json").write_text('{"a": 2}')
    assert identified({"pretrained": "m", name: str(moved)}) != before


def test_a_retraining_of_one_part_of_the_weights_is_seen(model):
    weights = model / "sub" / "weights.safetensors"
    before, content = fingerprint_of(model), bytearray(weights.read_bytes())
    place = len(content) // 3
    content[place : place + len(content) // 20] = bytes(len(content) // 20)
    weights.write_bytes(bytes(content))
    assert fingerprint_of(model) != before


def test_a_single_file_is_a_model_too(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    one = identified({"pretrained": str(path)})
    path.write_bytes(b"two")
    assert identified({"pretrained": str(path)}) != one


def test_a_setting_that_older_folders_do_not_know_is_no_difference_at_its_default():
    """`draws`, ... have always been noted; what came later only where it is set."""
    always = {"draws", "temperature", "max_answer_tokens", "reasoning", "reader"}
    assert set(identified()["settings"]) == always
    assert set(identified(accept_temperature=1)["settings"]) == always | {"accept_temperature"}
    assert set(identified(send_seed=False)["settings"]) == always | {"send_seed"}


def test_a_model_sampled_at_1_throughout_is_another_than_one_whose_samples_are():
    assert identified(accept_temperature=1)["settings"]["temperature"] == 1
    assert identified(accept_temperature=1) != identified(temperature=1)

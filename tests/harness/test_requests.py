"""The very prompts and generation arguments of the stock harness, seeds that stay, and models that
reason recognised.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import jinja2.sandbox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale import assembly
from lm_eval_safescale.contexts import ORCHESTRATE, WRITE, write_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.requests import LARGEST_SEED, ConditionRequests, Request
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Status
from lm_eval_safescale.settings import ANSWER_TOKENS, REASONING_TOKENS, Settings
from tests.harness.stub import StubLM
from tests.harness.test_agentic_task import StubWriter

DEMO = {"dataset": "demo", "draws": 3}
SHOWN = {"corpus": "demo", "max_context_tokens": 9000, "context_tokenizer": "words"}
CONDITIONS = (
    "closed_book", "clean", "conflict", "rag", "rag_top1", "rag_top5", "rag_padded_top1",
    "max_context", "agentic",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Settings for everything that is made beforehand: indexes, and reports by a stub."""
    folder = tmp_path_factory.mktemp("files")
    given = {"index_dir": str(folder / "indexes")}
    settings = Settings.model_validate({"dataset": "demo", "corpus": "demo", **given})
    part = plugins().find("condition", "agentic")
    chat = assembly.Chat({ORCHESTRATE: StubWriter(), WRITE: StubWriter()})
    made = assembly.contexts_of(part, assembly.load_dataset(settings), settings, chat=chat)
    write_contexts(folder / "reports.jsonl", made)
    return {**given, "reports": str(folder / "reports.jsonl")}


def asked(
    condition: str = "clean",
    lm: Any = None,
    *,
    chat: bool = True,
    limit: int | None = 6,
    **metadata: Any,
) -> ConditionRequests:
    ready = ConditionRequests(plugins().find("condition", condition), DEMO | metadata)
    ready.prepare(lm or StubLM(), chat_template=chat, limit=limit)
    return ready


def everything(ready: ConditionRequests, at_once: int | None = None) -> list[Request]:
    return [request for item in ready.items for request in ready.requests(item, at_once=at_once)]


def counted(pairs: Any) -> Counter:
    """Prompts with their generation arguments, as texts."""
    return Counter(
        (str(prompt), json.dumps(arguments, sort_keys=True)) for prompt, arguments in pairs
    )


# --- the same questions as the stock harness ------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    ["<system>{system}</system><user>{user}</user><assistant>", "{system}{user}<think>\n"],
)
@pytest.mark.parametrize("chat", [True, False], ids=["chat template", "plain"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_model_is_asked_exactly_what_the_stock_harness_asks(
    condition, chat, template, run, files
):
    metadata = (
        SHOWN
        | {"index_dir": files["index_dir"]}
        | ({"contexts": files["reports"]} if condition == "agentic" else {})
    )
    _, stock = run(
        f"radsafe_{condition}", StubLM(template=template), chat=chat, metadata=metadata, limit=4
    )
    ours = asked(condition, StubLM(template=template), chat=chat, limit=4, **metadata)
    made = [
        (request.prompt, request.generation) for request in everything(ours) for _ in request.draws
    ]
    assert counted(made) == counted(stock.requests)
    assert len(made) == 4 * 4


def test_the_stock_harness_s_own_options_for_generation_stay(run):
    """What it takes from the model's arguments and ours is the same too, over several tasks in one
    run."""
    metadata = {"temperature": 0.3, "max_answer_tokens": 77, "draws": 2, "seed": 5}
    _, stock = run(["radsafe_clean", "radsafe_closed_book"], metadata=metadata, limit=3)
    ours = [asked(name, limit=3, **metadata) for name in ("clean", "closed_book")]
    made = [
        (request.prompt, request.generation)
        for each in ours
        for request in everything(each)
        for _ in request.draws
    ]
    assert counted(made) == counted(stock.requests)


def test_the_greedy_answer_and_the_samples_share_one_prompt():
    """It is the same object, so that an engine can tell without looking at its text."""
    ready = asked()
    for item in ready.items:
        greedy, *samples = ready.requests(item, at_once=1)
        assert all(request.prompt is greedy.prompt for request in samples)


def test_without_samples_only_the_greedy_answer_is_asked():
    assert [request.draws for request in everything(asked(draws=0, limit=2))] == [(0,), (0,)]


# --- seeds and draws ------------------------------------------------------------------------------


def seeds(ready: ConditionRequests, at_once: int | None = None) -> dict[tuple[str, int], int]:
    """The seed of each draw."""
    return {
        (request.question_id, draw): request.seed + number
        for request in everything(ready, at_once)
        if request.seed is not None
        for number, draw in enumerate(request.draws)
    }


def test_seeds_are_the_same_at_every_start_and_however_many_items_are_asked():
    first, again, more = seeds(asked()), seeds(asked()), seeds(asked(limit=None))
    assert first == again
    assert first == {key: more[key] for key in first}


def test_draws_of_different_items_conditions_and_runs_have_seeds_of_their_own():
    made = [
        seeds(asked(limit=None)),
        seeds(asked("conflict", limit=None)),
        seeds(asked(limit=None, seed=1)),
    ]
    everyone = [seed for each in made for seed in each.values()]
    assert len(set(everyone)) == len(everyone) == 3 * 60 * 3
    assert all(0 <= seed < LARGEST_SEED for seed in everyone)


def test_greedy_answers_have_no_seed_and_draws_count_up_from_the_first():
    ready = asked()
    greedy, samples = ready.requests(ready.items[0], at_once=None)
    assert (greedy.draws, greedy.seed, samples.draws) == ((0,), None, (1, 2, 3))
    assert "seed" not in samples.generation


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_a_draw_has_the_same_seed_however_many_are_asked_at_once(at_once):
    assert seeds(asked(limit=2), at_once) == seeds(asked(limit=2))
    assert all(len(request.draws) <= at_once for request in everything(asked(limit=2), at_once))


@given(draws=st.integers(1, 30), known=st.sets(st.integers(0, 30)))
def test_what_is_missing_of_a_request_is_asked_with_the_seeds_it_would_have_had(draws, known):
    request = Request("c", "q", "p", {}, tuple(range(1, draws + 1)), 100)
    missing = list(request.without(known))
    assert [draw for each in missing for draw in each.draws] == sorted(set(request.draws) - known)
    for each in missing:
        assert each.seed == 99 + each.draws[0]
        assert each.draws == tuple(range(each.draws[0], each.draws[-1] + 1))


def test_a_server_gets_the_seed_from_the_request_alone():
    """The stock harness writes a seed for each draw into the arguments of a server; here it stands
    beside them."""

    class TemplateAPI(StubLM):
        tokenized_requests = False
        _seed = 1234

        def create_message(self, messages, generate=False):
            return messages[0]

        def _create_payload(self, messages, generate=False, gen_kwargs=None, seed=1234, **kwargs):
            limit = gen_kwargs["max_gen_toks"]
            return {
                "prompt": messages,
                "temperature": gen_kwargs["temperature"],
                "max_tokens": limit,
                "stop": gen_kwargs["until"],
                "seed": gen_kwargs.get("seed", seed),
            }

    ready = asked(lm=TemplateAPI())
    assert all("seed" not in request.generation for request in everything(ready))
    assert len(set(seeds(ready, 1).values())) == 6 * 3


# --- what does not fit, what cannot be shown ------------------------------------------------------


def test_an_item_that_does_not_fit_the_window_is_named_with_sizes_and_the_others_are_asked_whole():
    whole = asked(limit=None)
    sizes = {
        item: len(next(whole.requests(item, at_once=None)).prompt.split()) for item in whole.items
    }
    window = sorted(sizes.values())[40] + ANSWER_TOKENS
    ready = asked(lm=StubLM(max_length=window), limit=None)
    assert set(ready.items) | set(ready.impossible) == set(whole.items)
    assert (
        set(ready.impossible)
        == {item for item, size in sizes.items() if size + ANSWER_TOKENS > window}
        != set()
    )
    for item, why in ready.impossible.items():
        assert f"{sizes[item]:,} tokens" in why
        assert f"{window:,}" in why
    prompts = {item: next(ready.requests(item, at_once=None)).prompt for item in ready.items}
    assert prompts == {
        item: next(whole.requests(item, at_once=None)).prompt for item in ready.items
    }


def test_the_room_that_reasoning_needs_counts_too():
    ready = asked(lm=StubLM(template="{system}{user}<think>\n", max_length=1000), limit=2)
    assert (ready.items, len(ready.impossible)) == ((), 2)
    assert all(f"{REASONING_TOKENS:,} more" in why for why in ready.impossible.values())


def test_an_item_without_a_report_is_named_with_the_reason(tmp_path):
    settings = Settings.model_validate(
        {"dataset": "demo", "corpus": "demo", "index_dir": tmp_path / "indexes"}
    )
    data = assembly.load_dataset(settings)
    silent = StubWriter(silent=next(iter(data)).question)
    made = assembly.contexts_of(
        plugins().find("condition", "agentic"),
        data,
        settings,
        chat=assembly.Chat({ORCHESTRATE: silent, WRITE: silent}),
    )
    write_contexts(tmp_path / "reports.jsonl", made)
    ready = asked(
        "agentic",
        limit=3,
        contexts=str(tmp_path / "reports.jsonl"),
        corpus="demo",
        index_dir=str(tmp_path / "indexes"),
    )
    (name,) = ready.impossible
    assert name == next(iter(data)).question_id
    assert ready.impossible[name].startswith("no context: ")
    assert len(ready.items) == 2


@pytest.mark.parametrize("wrong", [{"draws": -1}, {"dataset": "none such"}, {"seed": "x"}])
def test_what_is_wrong_with_the_settings_is_an_error_and_no_exit(wrong):
    with pytest.raises(SafescaleError) as caught:
        everything(asked(**wrong))
    assert not isinstance(caught.value, SystemExit)
    assert not str(caught.value).startswith("error:")


def test_an_output_is_read_as_the_task_reads_it():
    ready = asked(lm=StubLM(template="{system}{user}<think>\n"))
    assert ready.read(ready.items[0], "B?</think>C").response == "C"
    assert ready.read(ready.items[0], "It could be B").status is Status.TRUNCATED


# --- models that reason ---------------------------------------------------------------------------
# Each template is the core of one in use: how turns are written, and all that it says of reasoning.

TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
STRIPS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
)
TEMPLATES = {
    "Llama": TURNS,
    "Qwen3-Instruct-2507": STRIPS + "<|im_start|>assistant\n",
    "Qwen3": STRIPS
    + (
        "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false "
        "%}<think>\n\n</think>\n\n"
        "{% endif %}"
    ),
    "GLM-4.5": (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
        "{{ '/nothink' if m.role == 'user' and enable_thinking is defined and not enable_thinking "
        "}}{% endfor %}<|assistant|>{{ '\n"
        "<think></think>' if enable_thinking is defined and not enable_thinking }}"
    ),
    "Gemma 4": (
        "{% if enable_thinking is defined and enable_thinking %}<|turn>system\n<|think|><turn|>\n"
        "{% endif %}"
    )
    + TURNS,
    "DeepSeek-V3.1": STRIPS
    + (
        "<｜Assistant｜>{% if thinking is defined and thinking %}<think>{% else %}</think>{% endif "
        "%}"
    ),
    "DeepSeek-R1": STRIPS + "<｜Assistant｜><think>\n",
    "Qwen3-Thinking-2507": STRIPS + "<|im_start|>assistant\n<think>\n",
    "gpt-oss": (
        "{% for m in messages %}{% if m.thinking "
        "%}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif "
        "%}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant"
    ),
    "Magistral": (
        "{% if messages[0].role != 'system' %}[SYSTEM_PROMPT]Think like this:[THINK]Your "
        "thoughts[/THINK]Your answer.[/SYSTEM_PROMPT]{% endif %}{% for m in messages %}[INST]{{ "
        "m.content }}[/INST]{% endfor %}"
    ),
    "Mistral-Small": "{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}",
}


class TemplatedLM(StubLM):
    """A stub with a chat template in Jinja, which says of the switch what `hf` or `vllm` say."""

    def __init__(
        self, template: str, switch: bool | None = None, *, kind: str = "hf", model_type: str = ""
    ) -> None:
        super().__init__()
        self.enable_thinking = switch
        self._config = SimpleNamespace(model_type=model_type)
        self.tokenizer = SimpleNamespace(chat_template=template, apply_chat_template=self._rendered)
        self.switch = {"enable_thinking": switch} if kind == "vllm" or switch is not None else {}
        self.chat_template_args = self.switch if kind == "hf" else {}
        if kind == "vllm":
            self.hf_chat_template = template

    def _rendered(
        self,
        turns: list[dict],
        chat_template: str | None = None,
        tokenize: bool = True,
        **options: Any,
    ) -> str:
        assert not tokenize
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True
        )
        return environment.from_string(chat_template or self.tokenizer.chat_template).render(
            messages=turns, **options
        )

    def apply_chat_template(
        self, chat_history: list[dict], add_generation_prompt: bool = True
    ) -> str:
        return self._rendered(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt, **self.switch
        )


REASONS: Mapping[str, tuple[tuple[bool | None, str, bool], ...]] = {
    "Llama": ((None, "hf", False), (None, "vllm", False), (True, "hf", False)),
    "Qwen3-Instruct-2507": ((None, "hf", False), (None, "vllm", False)),
    "Qwen3": (
        (None, "hf", True),
        (None, "vllm", True),
        (True, "hf", True),
        (False, "hf", False),
        (False, "vllm", False),
    ),
    "GLM-4.5": (
        (None, "hf", True),
        (None, "vllm", False),
        (True, "vllm", True),
        (False, "hf", False),
    ),
    "Gemma 4": (
        (None, "hf", False),
        (None, "vllm", False),
        (True, "hf", True),
        (True, "vllm", True),
    ),
    "DeepSeek-V3.1": ((None, "hf", False),),
    "DeepSeek-R1": ((None, "hf", True), (None, "vllm", True)),
    "Qwen3-Thinking-2507": ((None, "hf", True), (None, "vllm", True)),
    "gpt-oss": ((None, "hf", True), (None, "vllm", True)),
    "Magistral": ((None, "hf", True),),
    "Mistral-Small": ((None, "hf", False),),
}
CASES = [(model, *case) for model, cases in REASONS.items() for case in cases]


@pytest.mark.parametrize(("model", "switch", "kind", "reasons"), CASES)
def test_the_token_limit_is_raised_for_a_model_that_reasons_and_for_no_other(
    model, switch, kind, reasons
):
    ready = asked(lm=TemplatedLM(TEMPLATES[model], switch, kind=kind), limit=1)
    limit = REASONING_TOKENS if reasons else ANSWER_TOKENS
    assert ready.token_limit == limit
    assert {request.generation["max_gen_toks"] for request in everything(ready)} == {limit}


def test_every_template_is_tried():
    assert set(TEMPLATES) == set(REASONS)


def test_a_switch_among_the_template_s_own_arguments_is_seen():
    """`hf` takes it there as well."""
    lm = TemplatedLM(TEMPLATES["Qwen3"])
    lm.switch = lm.chat_template_args = {"enable_thinking": False}
    assert not backends.reasons(lm)


def test_gpt_oss_is_known_by_its_configuration_too():
    assert backends.reasons(TemplatedLM(TURNS, model_type="gpt_oss"))


def test_a_template_that_cannot_be_rendered_says_nothing():
    assert not backends.reasons(
        TemplatedLM("{{ enable_thinking }}{{ messages[1].content.strip() }}")
    )
    assert not backends.reasons(StubLM())


@pytest.mark.parametrize(
    ("model", "given", "limit"),
    [
        ("Qwen3", {"reasoning": "off"}, ANSWER_TOKENS),
        ("gpt-oss", {"reasoning": "off"}, ANSWER_TOKENS),
        ("DeepSeek-R1", {"reasoning": "off"}, ANSWER_TOKENS),
        ("Llama", {"reasoning": "on"}, REASONING_TOKENS),
        ("Llama", {"reasoning": "separate"}, REASONING_TOKENS),
        ("Qwen3", {"max_answer_tokens": 512}, 512),
        ("Llama", {"reasoning": "on", "max_answer_tokens": 512}, 512),
    ],
)
def test_what_the_user_says_of_reasoning_goes_before_what_the_template_says(model, given, limit):
    assert asked(lm=TemplatedLM(TEMPLATES[model]), limit=1, **given).token_limit == limit


def test_without_a_chat_template_no_reasoning_is_expected():
    assert (
        asked(lm=TemplatedLM(TEMPLATES["Qwen3"]), chat=False, limit=1).token_limit == ANSWER_TOKENS
    )


def test_a_condition_can_be_prepared_again_for_another_model():
    ready = ConditionRequests(plugins().find("condition", "clean"), DEMO)
    ready.prepare(TemplatedLM(TEMPLATES["Qwen3"]), chat_template=True, limit=2)
    ready.prepare(TemplatedLM(TEMPLATES["Llama"]), chat_template=True, limit=2)
    assert ready.token_limit == ANSWER_TOKENS

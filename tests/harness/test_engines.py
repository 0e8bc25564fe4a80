"""Engines against stubs: every request is answered once, in whatever order answers come, and
nothing is cut or left running.
"""

from __future__ import annotations

import random
import sys
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.harness.engines import QUEUED, BatchEngine, VllmEngine, engine_of
from lm_eval_safescale.harness.requests import Completion, Request
from tests.harness.stub import StubLM

GREEDY = {"until": ["<stop>"], "max_gen_toks": 10, "do_sample": False, "temperature": 0.0}
SAMPLED = {"until": ["<stop>"], "max_gen_toks": 10, "do_sample": True, "temperature": 0.7}
EOS = "<eos>"
ORDERS = st.integers(0, 10**6).map(random.Random)


def requests_of(item: int, draws: int, *, at_once: int | None = None) -> list[Request]:
    """The requests of one item, as `ConditionRequests` makes them."""
    name, prompt, first = f"q{item}", f"prompt {item}", 1000 * (item + 1)
    size = at_once or draws
    made = [Request("clean", name, prompt, GREEDY, (0,), None)]
    for start in range(1, draws + 1, size or 1):
        chunk = tuple(range(start, min(start + size, draws + 1)))
        made.append(Request("clean", name, prompt, SAMPLED, chunk, first + start - 1))
    return made


def keys(heard: Sequence[Completion]) -> Counter:
    """How often each draw was answered."""
    return Counter(
        (each.request.question_id, draw) for each in heard for draw in each.request.draws
    )


# --- a stub of vLLM's engine ----------------------------------------------------------------------


@dataclass
class FakeEngine:
    """Finishes what it was given in an order of its own, and says the seed of each sample."""

    order: random.Random = field(default_factory=lambda: random.Random(0))
    places: int = 4
    window: int = 100
    dies: BaseException | None = None
    """Raised by the step after the first answer."""
    flying: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    added: list[tuple[Any, Any]] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    most: int = 0
    finished: int = 0

    def __post_init__(self) -> None:
        self.vllm_config = SimpleNamespace(
            scheduler_config=SimpleNamespace(max_num_seqs=self.places)
        )

    @property
    def sequences(self) -> int:
        return sum(parameters.n for _, parameters in self.flying.values())

    def add_request(
        self, name: str, prompt: Any, parameters: Any, lora_request: Any = None
    ) -> None:
        if len(prompt.prompt_token_ids) + parameters.max_tokens > self.window:
            raise ValueError(
                f"the prompt (length {len(prompt.prompt_token_ids)}) is longer than the maximum "
                "model length"
            )
        assert name not in self.flying
        self.flying[name] = prompt, parameters
        self.added.append((prompt, parameters))
        self.most = max(self.most, len(self.flying))

    def step(self) -> list[Any]:
        if self.dies and self.finished:
            raise self.dies
        names = self.order.sample(sorted(self.flying), self.order.randint(0, len(self.flying)))
        self.finished += len(names)
        return [self._output(name) for name in names]

    def _output(self, name: str) -> Any:
        prompt, parameters = self.flying.pop(name)
        said = "".join(map(chr, prompt.prompt_token_ids))
        samples = [
            SimpleNamespace(
                index=index,
                text=f"{said} {_seed(parameters, index)}<stop>rest",
                token_ids=[0] * (index + 1),
                finish_reason="length" if index % 2 else "stop",
            )
            for index in range(parameters.n)
        ]
        self.order.shuffle(samples)
        return SimpleNamespace(
            request_id=name,
            finished=True,
            outputs=samples,
            prompt_token_ids=prompt.prompt_token_ids,
            metrics=None,
        )

    def abort_request(self, names: list[str]) -> None:
        self.aborted += names
        for name in names:
            self.flying.pop(name, None)  # as vLLM: what is done already is no error


def _seed(parameters: Any, index: int) -> str:
    return "greedy" if parameters.seed is None else str(parameters.seed + index)


def modify_gen_kwargs(
    generation: dict, *, eos: str, default_max_gen_toks: int
) -> tuple[dict, list[str], int]:
    """As the harness's backend for vLLM, which cannot be imported where there is no vLLM; it
    empties what it is given."""
    made = normalize_gen_kwargs(generation, default_max_gen_toks=default_max_gen_toks)
    until = handle_stop_sequences(made.pop("until", None), eos=eos)
    limit = int(made.pop("max_gen_toks", default_max_gen_toks))
    made.pop("do_sample", None)
    generation.clear()
    return (
        {"skip_special_tokens": False, "spaces_between_special_tokens": False, **made},
        until,
        limit,
    )


class FakeVLLM:
    """What the engine looks at in the harness's backend."""

    modify_gen_kwargs = staticmethod(modify_gen_kwargs)
    think_end_token = None
    max_gen_toks = 256
    eot_token_id = 0
    lora_request = None
    data_parallel_size = 1

    def __init__(self, engine: FakeEngine) -> None:
        self.model = SimpleNamespace(llm_engine=engine)
        self.tokenizer = SimpleNamespace(decode=lambda _: EOS, eos_token=EOS)
        self.tokenised: list[str] = []

    def tok_encode(self, text: str) -> list[int]:
        self.tokenised.append(text)
        return list(map(ord, text))


@pytest.fixture(autouse=True, scope="module")
def _vllm():
    """The names that are taken from vLLM."""
    vllm, sampling = types.ModuleType("vllm"), types.ModuleType("vllm.sampling_params")
    vllm.SamplingParams = vllm.TokensPrompt = lambda **given: SimpleNamespace(**given)
    sampling.RequestOutputKind = SimpleNamespace(FINAL_ONLY="final only")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vllm", vllm)
        patch.setitem(sys.modules, "vllm.sampling_params", sampling)
        yield


def vllm_engine(**about: Any) -> tuple[VllmEngine, FakeEngine, FakeVLLM]:
    fake = FakeEngine(**about)
    backend = FakeVLLM(fake)
    return VllmEngine(backend), fake, backend


# --- vLLM -----------------------------------------------------------------------------------------


@given(
    items=st.integers(0, 12), draws=st.integers(0, 5), places=st.integers(1, 9), order=ORDERS,
    alone=st.booleans(),
)  # fmt: skip
def test_vllm_answers_each_request_once_with_its_own_texts_in_the_order_of_draws(
    items, draws, places, order, alone
):
    engine, fake, _ = vllm_engine(order=order, places=places)
    batches = [requests_of(item, draws) for item in range(items)]
    heard = list(engine.answer(batches, alone=alone))
    assert keys(heard) == Counter(
        (f"q{item}", draw) for item in range(items) for draw in range(draws + 1)
    )
    for each in heard:
        request = each.request
        said = "greedy" if request.is_greedy else None
        assert each.texts == tuple(
            f"{request.prompt} {said or request.seed + number}"
            for number in range(len(request.draws))
        )
        assert each.completion_tokens == tuple(range(1, len(request.draws) + 1))
        assert each.finish_reasons == tuple(
            ("stop", "length")[place % 2] for place in range(len(request.draws))
        )
        assert each.prompt_tokens == len(request.prompt)
    assert not fake.flying
    assert fake.most <= (1 if alone else max(1, int(places * (1 + QUEUED))))


@given(items=st.integers(1, 12), draws=st.integers(0, 5), places=st.integers(1, 9), order=ORDERS)
def test_vllm_takes_a_request_only_when_there_is_room_for_it(items, draws, places, order):
    engine, fake, _ = vllm_engine(order=order, places=places)
    room, taken = int(places * (1 + QUEUED)), []

    def waiting() -> Iterator[list[Request]]:
        for item in range(items):
            for request in requests_of(item, draws):
                assert fake.sequences < room
                taken.append(request)
                yield [request]

    answers = engine.answer(waiting())
    assert not taken  # nothing is taken before somebody wants an answer
    for count, _ in enumerate(answers, 1):
        assert len(taken) - count <= room


@given(places=st.integers(1, 9), draws=st.integers(1, 30), order=ORDERS)
def test_vllm_counts_the_answers_that_are_made_at_a_time(places, draws, order):
    engine, _, _ = vllm_engine(order=order, places=places)
    heard = list(engine.answer([requests_of(item, draws) for item in range(3)]))
    assert all(1 <= each.concurrency <= places for each in heard)
    together = min(places, 1 + draws) if int(places * (1 + QUEUED)) > 1 else 1
    first = next(each for each in heard if each.request == requests_of(0, draws)[0])
    assert first.concurrency >= together  # its samples are asked with it


def test_an_answer_asked_alone_has_no_other_beside_it():
    engine, _, _ = vllm_engine()
    alone = engine.answer([[requests_of(item, 0)[0]] for item in range(4)], alone=True)
    assert [each.concurrency for each in alone] == [1, 1, 1, 1]


def test_a_prompt_is_tokenised_once_for_its_greedy_answer_and_its_samples():
    engine, fake, backend = vllm_engine()
    list(engine.answer([requests_of(item, 20) for item in range(3)]))
    assert backend.tokenised == ["prompt 0", "prompt 1", "prompt 2"]
    assert [parameters.n for _, parameters in fake.added] == [1, 20] * 3


def test_vllm_is_asked_with_the_harness_s_own_sampling_arguments():
    engine, fake, _ = vllm_engine()
    list(engine.answer([requests_of(0, 3)]))
    for (_, given_), generation in zip(fake.added, (GREEDY, SAMPLED), strict=True):
        arguments, until, limit = modify_gen_kwargs(
            dict(generation), eos=EOS, default_max_gen_toks=256
        )
        stated = {key: getattr(given_, key) for key in arguments if key not in ("n", "seed")}
        assert stated == {
            key: value for key, value in arguments.items() if key not in ("n", "seed")
        }
        assert (given_.stop, given_.max_tokens) == (until, limit)
        assert given_.output_kind == "final only"
    assert [parameters.seed for _, parameters in fake.added] == [None, 1000]


def test_asking_leaves_generation_arguments_as_they_are():
    """Backends take keys out of what they are given; the next request shares it."""

    def emptied(prompt: str, arguments: dict, draw: int) -> str:
        arguments["until"].clear()
        arguments.clear()
        return "A"

    before = {**GREEDY, "until": [*GREEDY["until"]]}
    for engine in (vllm_engine()[0], BatchEngine(Greedy(emptied))):
        list(engine.answer([requests_of(0, 0)]))
        assert before == GREEDY


@pytest.mark.parametrize("consumed", [0, 1, 2])
def test_requests_that_nobody_waits_for_are_aborted(consumed):
    engine, fake, _ = vllm_engine(places=8)
    answers = engine.answer([requests_of(item, 2) for item in range(9)])
    for _ in range(consumed):
        next(answers)
    answers.close()
    assert not fake.flying
    assert bool(fake.aborted) == bool(consumed)


def test_an_engine_that_was_left_in_the_middle_answers_again():
    engine, _, _ = vllm_engine(places=8)
    batches = [requests_of(item, 2) for item in range(9)]
    answers = engine.answer(batches)
    next(answers)
    answers.close()
    assert len(list(engine.answer(batches))) == 18


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


MEMORY = [
    OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    ValueError("No available memory for the cache blocks"),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_a_model_that_runs_out_of_memory_says_what_to_lower(error):
    for engine in (vllm_engine(dies=error)[0], BatchEngine(Greedy(raises(error)))):
        with pytest.raises(
            SafescaleError, match=r"memory was short.*--batch_size.*window.*goes on from there"
        ):
            list(engine.answer([requests_of(item, 2) for item in range(9)]))


def test_memory_is_named_too_where_it_is_the_cause_of_what_the_engine_says():
    dead = RuntimeError("the engine is dead")
    dead.__cause__ = OutOfMemoryError("CUDA out of memory")
    with pytest.raises(SafescaleError, match=r"engine is dead.*memory was short"):
        list(vllm_engine(dies=dead)[0].answer([requests_of(item, 2) for item in range(9)]))


def test_a_model_that_dies_of_anything_else_is_not_said_to_lack_memory():
    for engine in (
        vllm_engine(dies=RuntimeError("bad kernel"))[0],
        BatchEngine(Greedy(raises(RuntimeError("bad kernel")))),
    ):
        with pytest.raises(
            SafescaleError, match="RuntimeError: bad kernel; what was answered is stored"
        ) as caught:
            list(engine.answer([requests_of(item, 2) for item in range(9)]))
        assert "memory" not in str(caught.value)


def test_what_an_engine_answered_before_it_died_was_handed_over():
    engine, fake, _ = vllm_engine(dies=RuntimeError("gone"))
    heard = []
    with pytest.raises(SafescaleError):
        heard.extend(_collected(engine.answer([requests_of(item, 2) for item in range(9)]), heard))
    assert len(heard) == fake.finished > 0
    assert not fake.flying


def _collected(answers, heard):
    for each in answers:
        heard.append(each)
    return []


def test_a_prompt_that_vllm_finds_too_long_is_refused_and_never_cut():
    engine, fake, _ = vllm_engine(window=20)
    long = Request("clean", "q", "x" * 11, GREEDY, (0,), None)
    with pytest.raises(SafescaleError, match="longer than the maximum model length"):
        list(engine.answer([[long]]))
    assert fake.added == []
    assert len(list(engine.answer([[Request("clean", "q", "x" * 10, GREEDY, (0,), None)]]))) == 1
    assert [len(prompt.prompt_token_ids) for prompt, _ in fake.added] == [10]


def test_data_parallelism_is_refused_with_what_to_do_instead():
    backend = FakeVLLM(FakeEngine())
    backend.data_parallel_size = 2
    with pytest.raises(SafescaleError, match=r"data_parallel_size.*tensor_parallel_size"):
        VllmEngine(backend)


def test_the_latency_of_vllm_is_by_its_own_clock():
    engine, fake, _ = vllm_engine()
    plain = fake._output
    fake._output = lambda name: _with(
        plain(name), SimpleNamespace(scheduled_ts=10.0, last_token_ts=12.5)
    )
    (heard,) = engine.answer([requests_of(0, 0)])
    assert heard.latency_s == 2.5


def _with(output: Any, metrics: Any) -> Any:
    output.metrics = metrics
    return output


def test_reasoning_that_the_harness_was_told_to_keep_is_kept():
    engine, fake, backend = vllm_engine()
    backend.think_end_token = "<|kept|>"
    heard = list(engine.answer([requests_of(0, 0)]))
    assert heard[0].texts == ("prompt 0 greedy",)
    assert fake.added[0][1].stop == [EOS]  # no stop sequence may end the reasoning


# --- engines that answer a batch in one call ------------------------------------------------------


class Greedy(StubLM):
    """A stub with a batch size; what is asked in one call is noted."""

    def __init__(self, answer, batch_size: Any = 4) -> None:
        super().__init__(answer)
        self.batch_size = batch_size
        self.calls: list[list[str]] = []

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        self.calls.append([request.args[0] for request in requests])
        return super().generate_until(requests, disable_tqdm)


def raises(error: BaseException):
    def answer(prompt: str, arguments: dict, draw: int) -> str:
        raise error

    return answer


def said(prompt: str, arguments: dict, draw: int) -> str:
    return f"{prompt} {draw if arguments['do_sample'] else 'greedy'}"


@given(
    items=st.integers(0, 9), draws=st.integers(0, 9), size=st.integers(1, 5), alone=st.booleans()
)
def test_a_batch_engine_answers_each_request_once_with_its_own_texts(items, draws, size, alone):
    lm = Greedy(said, size)
    engine = BatchEngine(lm)
    assert (engine.items_at_once, engine.draws_at_once) == (size, size)
    everything = [requests_of(item, draws, at_once=engine.draws_at_once) for item in range(items)]
    batches = [
        list(chain.from_iterable(everything[start : start + size]))
        for start in range(0, items, size)
    ]
    heard = list(engine.answer(batches, alone=alone))
    assert keys(heard) == Counter(
        (f"q{item}", draw) for item in range(items) for draw in range(draws + 1)
    )
    for each in heard:
        names = ["greedy"] if each.request.is_greedy else range(len(each.request.draws))
        assert each.texts == tuple(f"{each.request.prompt} {name}" for name in names)
        assert each.prompt_tokens == 2
        assert each.completion_tokens == (3,) * len(each.request.draws)
    assert all(len(call) <= size for call in lm.calls)
    if alone:
        assert all(each.concurrency == 1 for each in heard if each.request.is_greedy)


def test_a_batch_engine_takes_a_batch_only_when_the_one_before_is_answered():
    lm, taken = Greedy(said), []

    def batches():
        for item in range(5):
            taken.append(item)
            yield requests_of(item, 0)

    answers = BatchEngine(lm).answer(batches())
    next(answers)
    assert (taken, len(lm.calls)) == ([0], 1)


def test_samples_are_the_same_whatever_was_asked_before_them():
    torch = pytest.importorskip("torch")

    def drawn(prompt: str, arguments: dict, draw: int) -> str:
        return str(torch.randint(10**9, ()).item()) if arguments["do_sample"] else "greedy"

    engine = BatchEngine(Greedy(drawn))
    batch = requests_of(0, 8, at_once=4)
    first = {each.request.draws: each.texts for each in engine.answer([batch])}
    again = {each.request.draws: each.texts for each in engine.answer([batch[2:]])}
    assert again[5, 6, 7, 8] == first[5, 6, 7, 8] != first[1, 2, 3, 4]


@pytest.mark.parametrize("size", ["auto", "auto:4", None])
def test_an_engine_that_makes_its_own_batches_gets_many_items_at_once(size):
    engine = BatchEngine(Greedy(said, size))
    assert engine.items_at_once == engines.AUTO_BATCH > 8
    assert engine.draws_at_once is None


def test_an_output_that_is_missing_fails_its_own_request_only():
    lm = Greedy(lambda prompt, *_: None if prompt == "prompt 1" else "A")
    heard = list(
        BatchEngine(lm).answer([requests_of(0, 0) + requests_of(1, 0) + requests_of(2, 0)])
    )
    assert [each.texts for each in heard] == [("A",), None, ("A",)]
    assert heard[1].error == "the backend gave nothing"


@pytest.mark.parametrize(
    "change", [lambda texts: texts[:-1], lambda texts: [*texts, "B"]], ids=["fewer", "more"]
)
def test_no_answer_is_given_to_another_request(change, monkeypatch):
    """A backend that loses an answer would shift all that follow."""
    lm = Greedy(said)
    whole = lm.generate_until
    monkeypatch.setattr(
        lm, "generate_until", lambda *args, **options: change(whole(*args, **options))
    )
    with pytest.raises(SafescaleError, match="texts for 2 requests"):
        list(BatchEngine(lm).answer([requests_of(0, 0) + requests_of(1, 0)]))


# --- which engine ---------------------------------------------------------------------------------


def test_a_backend_gets_the_engine_that_fits_it():
    from lm_eval.models.openai_completions import LocalChatCompletion

    pytest.importorskip("aiohttp")
    server = LocalChatCompletion(base_url="http://127.0.0.1:9/v1/chat/completions", model="m")
    assert type(engine_of(server, "local-chat-completions")).__name__ == "ServerEngine"
    assert isinstance(engine_of(FakeVLLM(FakeEngine()), "vllm"), VllmEngine)
    assert isinstance(engine_of(StubLM(), "hf"), BatchEngine)

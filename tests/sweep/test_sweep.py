"""The file of a sweep, its plan, and who is tried again. No process is started and no model loaded
here.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("polars")

from lm_eval_safescale.analysis import load_panel
from lm_eval_safescale.cli.sweep import describe
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs.journal import Journal
from lm_eval_safescale.sweep import (
    Gpu,
    Load,
    Outcome,
    Size,
    plan_sweep,
    read_sweep,
    run_jobs,
    sweep_named,
)
from lm_eval_safescale.sweep.jobs import lacking
from lm_eval_safescale.sweep.local import LocalExecutor
from lm_eval_safescale.sweep.plan import gpu_hours, requests_of_item
from lm_eval_safescale.sweep.running import SweepProgress
from tests.stub_server import chooses, says

BUNDLED = Path(__file__).resolve().parents[2] / "sweeps" / "radsafe-34.yaml"


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8"
    )
    return path


def jobs_of(tmp_path: Path, *models: dict, **over: object):
    return read_sweep(written(tmp_path, {"output": "runs", "models": list(models)} | over)).jobs


# --- the file -------------------------------------------------------------------------------------


def test_a_model_has_the_defaults_and_over_them_its_own(tmp_path):
    defaults = {
        "backend": "hf",
        "gpus": 2,
        "batch_size": 4,
        "model_args": {"dtype": "bfloat16", "revision": "a"},
    }
    own = {
        "model": "org/small",
        "gpus": 1,
        "model_args": {"revision": "b"},
        "metadata": {"draws": 5},
    }
    plain, changed = jobs_of(
        tmp_path,
        {"model": "org/large"},
        own,
        defaults=defaults,
        metadata={"draws": 20, "temperature": 0.5},
    )
    assert (plain.backend, plain.gpus, plain.batch_size) == ("hf", 2, "4")
    assert plain.model_args == {"pretrained": "org/large", "dtype": "bfloat16", "revision": "a"}
    assert changed.model_args == {"pretrained": "org/small", "dtype": "bfloat16", "revision": "b"}
    assert changed.metadata == {"draws": 5, "temperature": 0.5}
    assert changed.gpus == 1


def test_each_model_has_a_folder_of_its_name(tmp_path):
    one, two = jobs_of(
        tmp_path, {"model": "org/small"}, {"model": "org/small", "name": "small-again"}
    )
    assert [Path(job.folder) for job in (one, two)] == [
        Path.cwd() / "runs" / "small",
        Path.cwd() / "runs" / "small-again",
    ]


def test_vllm_shares_a_model_out_among_the_gpus_of_its_job(tmp_path):
    one, four, told, hf = jobs_of(
        tmp_path, {"model": "a"}, {"model": "b", "gpus": 4},
        {"model": "c", "gpus": 4, "model_args": {"pipeline_parallel_size": 4}},
        {"model": "d", "gpus": 4, "backend": "hf"},
    )  # fmt: skip
    assert four.model_args["tensor_parallel_size"] == 4
    assert not any("tensor_parallel_size" in job.model_args for job in (one, told, hf))


def test_a_server_needs_no_gpu_and_names_its_model_otherwise(tmp_path):
    (job,) = jobs_of(
        tmp_path,
        {
            "model": "m",
            "backend": "local-chat-completions",
            "model_args": {"base_url": "http://x/v1"},
        },
    )
    assert job.gpus == 0
    assert job.model_args["model"] == "m"
    assert "pretrained" not in job.model_args


def test_paths_hold_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (job,) = jobs_of(tmp_path, {"model": "weights"}, metadata={"dataset_path": "our.csv"})
    assert job.model_args["pretrained"] == str(tmp_path / "weights")
    assert job.metadata["dataset_path"] == str(tmp_path / "our.csv")


def test_all_conditions_are_the_six_of_the_protocol(tmp_path):
    (job,) = jobs_of(tmp_path, {"model": "m"}, conditions="all")
    assert job.conditions == ["closed_book", "clean", "conflict", "rag", "agentic", "max_context"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"models": []}, "models: []; expected"),
        ({"output": "o"}, "models: missing"),
        ([], "expected a mapping with models"),
        ({"models": [{"model": "m"}]}, "no output; write output: FOLDER, or give output=FOLDER"),
        ({"output": "o", "modles": []}, "modles: no such field; expected one of output, metadata"),
        (
            {"output": "o", "models": [{"model": "org/m", "gpu": 2}]},
            "models, number 1 (org/m): gpu: no such field; expected one of",
        ),
        (
            {"output": "o", "models": [{"model": "m", "gpus": "2"}]},
            "models, number 1 (m): gpus: '2'; expected a whole number",
        ),
        (
            {"output": "o", "models": [{"model": "m", "gpus": True}]},
            "models, number 1 (m): gpus: True; expected a whole number",
        ),
        (
            {"output": "o", "models": [{"model": "m", "gpus": -1}]},
            "models, number 1 (m): gpus: -1; expected greater than or equal to 0",
        ),
        ({"output": "o", "models": ["m"]}, "models, number 1: 'm'; expected"),
        (
            {"output": "o", "defaults": {"model_args": "a=b"}, "models": [{"model": "m"}]},
            "defaults: model_args: 'a=b'; expected a mapping",
        ),
        (
            {"output": "o", "models": [{"model": "a/M"}, {"model": "b/M"}]},
            "numbers 1 and 2, are both called M; give one of",
        ),
        (
            {"output": "o", "models": [{"model": "m"}, {"model": "other/M"}]},
            "numbers 1 and 2, are called m and M, one folder on many",
        ),
        (
            {"output": "o", "models": [{"model": "m", "name": "../m"}]},
            "the name '../m' is also a folder's",
        ),
        (
            {"output": "o", "models": [{"model": "m", "conditions": ["closed"]}]},
            "models, number 1 (m): there is no condition",
        ),
        (
            {"output": "o", "models": [{"model": "m", "conditions": "closed_book"}]},
            "conditions: 'closed_book'; expected a list of",
        ),
        (
            {"output": "o", "models": [{"model": "m", "conditions": []}]},
            "conditions: none; expected a list of conditions, or all",
        ),
        (
            {"output": "o", "models": [{"model": "m", "metadata": {"drawz": 2}}]},
            "no setting of this name: drawz (did you mean draws?)",
        ),
        ({"output": "o", "models": [{"model": "m", "metadata": {"draws": -2}}]}, "draws = -2"),
        (
            {"output": "o", "models": [{"model": "m", "model_args": {"pretrained": "n"}}]},
            "is the model's name, which stands under model",
        ),
        (
            {"output": "o", "gpu": {"utilisation": 40}, "models": [{"model": "m"}]},
            "gpu: utilisation: 40; expected less than or equal to 1",
        ),
        ("output: o\nmodels: [", "line 2: "),
        ("output: o\noutput: p\nmodels: [{model: m}]", "line 2: output stands here twice"),
        (
            "output: o\nmodels: [{model: m, model_args: {x: 2024-01-01}}]",
            "model_args: x: datetime.date(2024, 1, 1); expected a text",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place_and_what_was_expected(
    tmp_path, content, said
):
    path = written(tmp_path, content)
    with pytest.raises(SafescaleError) as refused:
        read_sweep(path)
    assert str(refused.value).startswith(str(path))
    assert said in str(refused.value)


def test_all_problems_of_the_models_are_said_at_once(tmp_path):
    models = [
        {"model": "a", "conditions": ["x"]},
        {"model": "b"},
        {"model": "c", "metadata": {"y": 1}},
        {"model": "d", "name": "../d"},
        {"model": "other/b"},
        {"model": "third/b"},
    ]
    with pytest.raises(SafescaleError) as refused:
        jobs_of(tmp_path, *models)
    for said in (
        "number 1 (a): there is no condition",
        "number 3 (c): metadata: no setting",
        "number 4: the name '../d'",
        "numbers 2 and 5, are both called b",
        "numbers 2 and 6, are both called b",
    ):
        assert said in str(refused.value)


def test_items_to_leave_out_are_read_from_their_file_when_the_sweep_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.txt").write_text("q1\nq2\n")
    (job,) = jobs_of(tmp_path, {"model": "m"}, metadata={"exclude_items": "out.txt"})
    assert job.metadata["exclude_items"] == ["q1", "q2"]


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SafescaleError, match="cannot be read"):
        read_sweep(tmp_path / "none.yaml")


def test_models_are_chosen_by_name(tmp_path):
    path = written(tmp_path, {"output": "o", "models": [{"model": "a"}, {"model": "b"}]})
    assert [job.name for job in read_sweep(path, only=["b"]).jobs] == ["b"]
    with pytest.raises(SafescaleError, match="no model is called c; known: a, b"):
        read_sweep(path, only=["c"])


def test_numbers_may_be_written_as_everybody_writes_them(tmp_path):
    path = written(
        tmp_path, "output: o\ngpu: {flops: 312e12, bytes_per_s: 2.0e12}\nmodels: [{model: m}]"
    )
    assert read_sweep(path).gpu.flops == 312e12


# --- the bundled file -----------------------------------------------------------------------------


def test_the_bundled_sweep_has_the_models_of_the_panel_and_no_other():
    sweep = read_sweep(sweep_named(Path("radsafe-34")))
    panel = load_panel()
    assert len(sweep.jobs) == 34
    assert {panel.find(job.name).name for job in sweep.jobs} == {
        model.name for model in panel.models
    }
    assert [job.name for job in sweep.jobs] == [panel.find(job.name).name for job in sweep.jobs]


def test_the_bundled_sweep_asks_the_six_conditions_with_20_samples():
    sweep = read_sweep(BUNDLED)
    assert {tuple(job.conditions) for job in sweep.jobs} == {
        ("closed_book", "clean", "conflict", "rag", "agentic", "max_context")
    }
    assert {job.metadata["draws"] for job in sweep.jobs} == {20}


def test_the_bundled_sweep_can_be_tried_on_the_demo_as_its_comment_says(monkeypatch):
    (line,) = [line for line in BUNDLED.read_text(encoding="utf-8").splitlines() if "=demo" in line]
    assigned = [word.split("=") for word in line.split() if word.endswith("=demo")]
    assert {name for name, _ in assigned} == {"SAFESCALE_DATASET", "SAFESCALE_CORPUS"}
    for name, value in assigned:
        monkeypatch.setenv(name, value)
    (plan,) = plan_sweep(read_sweep(BUNDLED, only=["Qwen3-4B"]), lambda _: Size(None, None))
    assert {load.items for load in plan.loads} == {60}
    assert plan.problems == ()


def test_the_models_that_reason_in_the_paper_have_its_token_limit():
    reasoning = {
        job.name for job in read_sweep(BUNDLED).jobs if job.metadata.get("reasoning") == "on"
    }
    first = (
        "gpt-oss-",
        "Qwen3-4B",
        "Qwen3-8B",
        "Qwen3-14B",
        "Qwen3-32B",
        "gemma-4-",
        "DeepSeek-R1",
        "medgemma-27b",
    )
    assert reasoning == {job.name for job in read_sweep(BUNDLED).jobs if job.name.startswith(first)}


def test_the_weights_of_each_model_fit_its_gpus():
    panel = load_panel()
    for job in read_sweep(BUNDLED).jobs:
        said = read_sweep(BUNDLED).sizes[job.name].total
        billions = said or panel.find(job.name).parameters_b
        # FP8, MXFP4
        bytes_each = (
            1 if billions > 600 or job.name.startswith(("gpt-oss", "Mistral-Small-4")) else 2
        )
        room = 141 if billions > 600 else 80
        assert billions * bytes_each < 0.9 * room * job.gpus, job.name


# --- the plan -------------------------------------------------------------------------------------


def plan_of(tmp_path, model=None, size=Size(None, None), **over):  # noqa: B008
    base = {
        "output": "o",
        "metadata": {"dataset": "demo", "corpus": "demo", "draws": 20},
        "models": [model or {"model": "m"}],
    }
    (plan,) = plan_sweep(read_sweep(written(tmp_path, base | over)), lambda _: size)
    return plan


def test_a_plan_counts_one_and_k_answers_for_each_item_under_each_condition(tmp_path):
    plan = plan_of(tmp_path, conditions=["closed_book", "clean", "rag"])
    assert (plan.requests, plan.answers) == (60 * 3 * 2, 60 * 3 * 21)
    assert plan.answer_tokens == 60 * 3 * 21 * 10
    reasons = plan_of(tmp_path, {"model": "m", "metadata": {"reasoning": True}})
    assert {load.answer_limit for load in reasons.loads} == {4096}
    noharm = plan_of(tmp_path, conditions=["noharm_options"], metadata={"dataset": "noharm_demo"})
    assert {load.answer_limit for load in noharm.loads} == {4096}
    medguard = plan_of(
        tmp_path,
        conditions=["medguard_basic", "medguard_cot"],
        metadata={"dataset": "medguard_demo"},
    )
    assert [load.answer_limit for load in medguard.loads] == [10, 1024]
    assert medguard.answer_tokens == 60 * (10 + 1024)


@pytest.mark.parametrize("draws", [0, 1, 8, 20])
@pytest.mark.parametrize("batch", [None, "1", "3", "auto"])
@pytest.mark.parametrize(
    "backend",
    [
        "vllm", "hf", "vllm-vlm", "local-completions", "openai-chat-completions", "sglang-generate",
        "choose-at-random",
    ],
)  # fmt: skip
def test_a_plan_counts_the_requests_that_the_runner_makes(backend, batch, draws):
    pytest.importorskip("lm_eval")
    from lm_eval_safescale.harness.controls import ControlEngine
    from lm_eval_safescale.harness.engines import BatchEngine, VllmEngine
    from lm_eval_safescale.harness.loading import default_batch_size
    from lm_eval_safescale.harness.requests import ConditionRequests
    from lm_eval_safescale.harness.servers import ServerEngine
    from lm_eval_safescale.plugins import plugins
    from tests.harness.stub import StubLM

    if backend.endswith(("completions", "generate")):
        at_once = ServerEngine.draws_at_once
    elif backend in ("vllm", "choose-at-random"):
        at_once = {"vllm": VllmEngine}.get(backend, ControlEngine).draws_at_once
    else:
        model = SimpleNamespace(batch_size=batch or default_batch_size(backend, object))
        at_once = BatchEngine(model).draws_at_once
    asked = ConditionRequests(
        plugins().find("condition", "closed_book"), {"dataset": "demo", "draws": draws}
    )
    asked.prepare(StubLM(), chat_template=False, limit=1)
    made = list(asked.requests(asked.items[0], at_once=at_once))
    assert requests_of_item(backend, batch, draws) == len(made)


def test_prompt_tokens_are_a_quarter_of_the_bytes_of_the_prompts_themselves(tmp_path):
    from lm_eval_safescale.families.choice.family import PROMPT
    from lm_eval_safescale.families.radsafe.data import load_demo

    texts = [PROMPT.system + PROMPT.render(item, None) for item in load_demo()]
    plan = plan_of(tmp_path, conditions=["closed_book"])
    assert plan.prompt_tokens == sum(len(text.encode()) for text in texts) // 4
    assert plan_of(tmp_path, conditions=["clean"]).prompt_tokens > plan.prompt_tokens


def test_max_context_counts_as_the_window_and_as_unknown_without_one(tmp_path):
    asked = {"conditions": ["max_context"]}
    assert (
        plan_of(
            tmp_path, {"model": "m", "model_args": {"max_model_len": 8192}}, **asked
        ).prompt_tokens
        == 60 * 8192
    )
    unknown = plan_of(tmp_path, **asked)
    assert unknown.loads[0].prompt_tokens is None
    assert any("window is not stated" in remark for remark in unknown.remarks)
    assert plan_of(tmp_path, conditions=["context_32k"]).prompt_tokens == 60 * 30_000


def test_what_cannot_be_asked_is_said_and_the_rest_is_planned(tmp_path):
    plan = plan_of(
        tmp_path, conditions=["closed_book", "rag"], metadata={"dataset": "demo", "draws": 0}
    )
    assert len(plan.problems) == 1
    assert plan.problems[0].startswith("rag: ")
    assert plan.loads[0].prompt_tokens


@pytest.mark.parametrize(
    "model",
    ["/no/such", "./none", "../none", "~/none-such", "~no-such-user/m", "weights/ours/none"],
)
def test_a_folder_that_is_not_there_is_a_problem_of_the_plan(tmp_path, model):
    plan = plan_of(tmp_path, {"model": model, "name": "m"}, conditions=["closed_book"])
    assert plan.problems == (
        (
            f"model {model}: no such folder; expected one with a model's files, or a name on the "
            "hub (ORG/NAME)"
        ),
    )


@pytest.mark.parametrize(
    "model",
    [
        "gpt2",
        "org/name",
        "weights/ours",
        "org/name-GGUF/file.gguf",
        "org/name-GGUF:Q4_K_M",
        "s3://bucket/a/b",
    ],
)
def test_a_name_that_may_be_one_on_a_hub_is_none(tmp_path, model):
    assert (
        plan_of(tmp_path, {"model": model, "name": "m"}, conditions=["closed_book"]).problems == ()
    )


def test_a_folder_that_is_there_and_a_server_s_own_names_are_none(tmp_path):
    server = {"backend": "local-completions", "model_args": {"base_url": "http://h/v1/completions"}}
    for model in ({"model": str(tmp_path)}, {"model": "/weights/of/the/server"} | server):
        assert plan_of(tmp_path, {"name": "m"} | model, conditions=["closed_book"]).problems == ()


def test_gpu_hours_are_those_of_the_formula_by_hand():
    # 8e9 parameters, 1e6 prompt tokens, 1,000 answers of at most 100 tokens, on a GPU of 1e15
    # operations/s (half used) and 1e12 bytes/s
    gpu = Gpu(flops=1e15, bytes_per_s=1e12, utilisation=0.5, at_once=100)
    reading = 2 * 8e9 * 1e6 / 5e14  # 32 s
    writing = 1000 * 100 / 100 * max(16e9 / 1e12, 2 * 8e9 * 100 / 5e14)  # 1,000 steps of 16 ms
    hours = gpu_hours((Load("c", 50, 100, 1000, 1_000_000, 100),), Size(8, None), gpu)
    assert hours == pytest.approx((reading + writing) / 3600)
    assert reading == pytest.approx(32)
    assert writing == pytest.approx(16)


@given(st.floats(0.1, 1000), st.integers(1, 10**9), st.integers(1, 10**4), st.integers(1, 30))
def test_gpu_hours_grow_with_size_and_tokens_and_shrink_with_shared_prompts(
    billions, tokens, items, draws
):
    def hours(size, prompt_tokens=tokens, shared=True):
        return gpu_hours(
            (Load("c", items, 2 * items, items * (1 + draws), prompt_tokens, 10),),
            size,
            Gpu(),
            shared=shared,
        )

    assert hours(Size(2 * billions, None)) > hours(Size(billions, None)) > 0
    assert hours(Size(billions, None), 2 * tokens) > hours(Size(billions, None))
    assert hours(Size(billions, None), shared=False) >= hours(Size(billions, None))
    assert hours(Size(billions, billions / 4)) <= hours(Size(billions, None))


def test_without_a_size_there_is_no_estimate_and_it_is_said(tmp_path):
    plan = plan_of(tmp_path)
    assert plan.gpu_hours is None
    assert any("size is not known" in remark for remark in plan.remarks)
    assert plan_of(tmp_path, size=Size(7, None)).gpu_hours > 0
    assert (
        plan_of(tmp_path, {"model": "m", "parameters_b": 14}, Size(7, None)).gpu_hours
        > plan_of(tmp_path, size=Size(7, None)).gpu_hours
    )


# --- who is tried again ---------------------------------------------------------------------------


class Scripted:
    """An executor without processes: the outcomes of each job, one a try."""

    def __init__(self, room: int = 1, **outcomes: list[Outcome]) -> None:
        self.room, self.outcomes, self.running, self.most, self.stopped = (
            room,
            outcomes,
            [],
            0,
            False,
        )

    def has_room(self, job):
        return len(self.running) < self.room

    def start(self, job):
        self.running.append(job)
        self.most = max(self.most, len(self.running))

    def has_begun(self, job):
        return True

    def wait(self, seconds):
        ended = [(job, self.outcomes[job.name].pop(0)) for job in self.running]
        self.running = []
        return ended

    def stop(self):
        self.stopped = True


DONE = Outcome(state="done", answers=6, of=6, seconds=2)
LOST = Outcome(state="lost", reason="killed", seconds=1, again=True)
WRONG = Outcome(state="failed", reason="no such setting", seconds=1)


def states(tmp_path, executor, **options):
    jobs = jobs_of(
        tmp_path, *({"model": name} for name in executor.outcomes), output=str(tmp_path / "out")
    )
    return {each.job.name: each for each in run_jobs(jobs, executor, **options)}


def test_a_lost_job_is_tried_again_up_to_the_number_of_retries(tmp_path):
    ended = states(tmp_path, Scripted(a=[LOST, LOST, DONE], b=[LOST, LOST, LOST]), retries=2)
    assert (ended["a"].state, ended["a"].tries, ended["a"].seconds, ended["a"].answers) == (
        "done",
        3,
        4,
        6,
    )
    assert (ended["b"].state, ended["b"].tries, ended["b"].reason) == ("failed", 3, "killed")


def test_what_would_fail_again_is_not_tried_again(tmp_path):
    ended = states(tmp_path, Scripted(a=[WRONG], b=[DONE]))
    assert (ended["a"].state, ended["a"].tries) == ("failed", 1)
    assert ended["b"].state == "done"


def test_items_without_answers_make_a_model_incomplete_and_not_done(tmp_path):
    ended = states(
        tmp_path, Scripted(a=[Outcome(state="incomplete", reason="3 items", answers=3, of=6)])
    )
    assert (ended["a"].state, ended["a"].tries, ended["a"].reason) == ("incomplete", 1, "3 items")


@pytest.mark.parametrize("room", [1, 2, 5])
def test_no_more_jobs_run_beside_each_other_than_there_is_room_for(tmp_path, room):
    executor = Scripted(room, a=[DONE], b=[LOST, DONE], c=[DONE])
    assert {each.state for each in states(tmp_path, executor).values()} == {"done"}
    assert executor.most == min(room, 3)


def test_an_interruption_ends_what_is_at_work(tmp_path):
    executor = Scripted(a=[DONE])
    with pytest.raises(KeyboardInterrupt):
        states(tmp_path, executor, on_change=lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert executor.stopped


def test_answers_are_counted_as_they_come_and_a_torn_line_is_not(tmp_path):
    (job,) = jobs_of(tmp_path, {"model": "m", "conditions": ["clean"]}, output=str(tmp_path))
    shard = Path(job.folder) / "answers" / "0001-a.jsonl"
    shard.parent.mkdir(parents=True)
    line = (
        '{"condition":"%s","question_id":"q","draws":[{"draw":0,"status":"ok","text":""},{"draw":1,'
        '"status":"ok","text":""}]}\n'
    )
    standing = SweepProgress(job)
    shard.write_text(line % "clean" + line % "rag" + (line % "clean")[:40])
    standing.look()
    assert standing.answers == 2
    shard.write_text(line % "clean" + line % "rag" + line % "clean" + "torn\n")
    standing.look()
    standing.look()
    assert standing.answers == 4


def test_jobs_wait_for_gpus_and_what_never_fits_waits_for_nothing(tmp_path):
    small, large, none = jobs_of(
        tmp_path, {"model": "a", "gpus": 1}, {"model": "b", "gpus": 3}, {"model": "c", "gpus": 0}
    )
    executor = LocalExecutor(4, gpus=["0", "1"])
    assert executor.has_room(small)
    assert executor.has_room(none)
    executor.start(large)
    ((job, outcome),) = executor.wait(0)
    assert (job.name, outcome.state, outcome.again) == ("b", "failed", False)
    assert "needs 3 GPUs, and this machine has 2" in outcome.reason


def test_one_is_not_said_in_the_plural(tmp_path):
    (job,) = jobs_of(tmp_path, {"model": "a", "gpus": 1})
    executor = LocalExecutor(1, gpus=[])
    executor.start(job)
    ((_, outcome),) = executor.wait(0)
    assert "it needs 1 GPU, and" in outcome.reason
    assert (
        lacking({"clean": {"q1": "no text"}})
        == "clean: 1 item without all answers, for example q1: no text"
    )
    assert lacking({"rag": {"q1": "no text", "q2": "no"}}).startswith("rag: 2 items without")
    assert describe([SweepProgress(job, answers=1)]) == "0 of 1 model done; 1 waiting; 1 answer"


def test_a_folder_in_which_a_first_start_was_killed_at_once_is_no_foreign_one(tmp_path):
    for name in ("log.txt", "writer.json", ".run.json.0123abcd", ".writer.json.0123abcd"):
        (tmp_path / name).write_text("{}")
    with Journal(tmp_path, {"model": "m"}, {}) as journal:
        assert len(journal.held) == 0


# --- what is finished -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filtered", "retried", "finished"), [(0, True, True), (1, False, True), (1, True, False)]
)
def test_a_model_whose_answers_a_filter_held_back_is_finished_unless_they_are_to_be_asked_again(
    filtered, retried, finished, tmp_path, server
):
    pytest.importorskip("lm_eval")
    held_back = chooses({"finish_reason": "content_filter", "message": {"content": ""}})
    server.answer = lambda seen: held_back if seen.number < filtered else says("C")
    args = {"base_url": f"{server.base_url}/chat/completions"}
    content = {
        "output": str(tmp_path / "runs"),
        "conditions": ["closed_book"],
        "metadata": {"dataset": "demo", "draws": 1},
        "models": [{"model": "m", "backend": "local-chat-completions", "model_args": args}],
    }
    (job,) = read_sweep(written(tmp_path, content), limit=2, retry_filtered=retried).jobs
    assert job.retry_filtered is retried
    model, how = (
        runner.Model(job.backend, job.model_args, name=job.name),
        {"metadata": job.metadata, "limit": 2},
    )
    assert not runner.run(model, Path(job.folder), job.conditions, **how).was_finished
    again = runner.run(
        model, Path(job.folder), job.conditions, retry_filtered=job.retry_filtered, **how
    )
    assert (again.was_finished, again.standing.known + again.standing.done) == (finished, 4)

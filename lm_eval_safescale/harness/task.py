"""The task class behind every `radsafe_*` task: one question, one greedy answer and K samples, read
and weighed.

It must work under the stock command line with every option the harness has, so it corrects for what
the harness would do to such a task: one seed for all samples of an API, padding that adds draws to
the last question of a rank, prompts cut from the left, request caches that do not know the data
set, and reasoning handed over as an answer.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lm_eval.api.filter import FilterEnsemble
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from lm_eval_safescale.assembly import ConditionRun, ModelFacts, Warn
from lm_eval_safescale.command_line import said
from lm_eval_safescale.contexts import notices_of
from lm_eval_safescale.datasets.problems import summarized
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import backends, output_warnings, payloads
from lm_eval_safescale.harness.outputs import FILTER_NAME, ReadAnswers, logged
from lm_eval_safescale.harness.weighing import Weighing
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Item, Status
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.sections import marks_on, notes_on
from lm_eval_safescale.settings import misspelt

logger = logging.getLogger("lm_eval.tasks.safescale")

STOP = "<|im_end|>"
"""A stop sequence that no answer contains: without one the harness stops at a blank line, and some
servers refuse to go on."""
KEPT = "<|kept|>"
"""An end-of-thinking token that no model writes: it satisfies the harness and leaves the reasoning
in the text."""
SAY_EVERY = 1000
"""Items."""
FIXED_BY_SETTINGS = {
    "temperature": "temperature",
    "do_sample": "draws",
    "seed": None,
    "n": "draws",
    "num_return_sequences": "draws",
    **dict.fromkeys(
        ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"),
        "max_answer_tokens",
    ),
}
"""Generation arguments that this task sets itself, and the setting (if any) by which the user sets
them."""


def once() -> Warn:
    """Logs each warning once. Every run has one of its own, so that the next in this process warns
    again."""
    return functools.cache(lambda warning: logger.warning(warning))


@dataclass
class _Evaluation:
    """Tasks that the harness asks together. It says nothing of which those are, but makes all of
    them before it asks the first."""

    warn: Warn = field(default_factory=once)
    closed: bool = False


_latest = _Evaluation()


def _evaluation() -> _Evaluation:
    global _latest
    if _latest.closed:
        _latest = _Evaluation()
    return _latest


class TaskSetupError(SystemExit, SafescaleError):
    """An error of the user's to mend. It leaves the command line without a traceback, with exit
    status 1."""

    def __init__(self, error: SafescaleError) -> None:
        super().__init__(*error.args)
        self.code = f"error: {said(self)}"  # what Python prints where it ends the process


class Documents(Sequence[dict[str, Any]]):
    """The docs of a task, each made when it is asked for: those of a large data set would fill the
    memory."""

    def __init__(self, items: Sequence[Item], document: Callable[[Item], dict[str, Any]]) -> None:
        self._items, self._document = items, document

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Documents(self._items[place], self._document)
        return self._document(self._items[place])

    @property
    def features(self) -> dict[str, None]:
        """Names of the columns."""
        return dict.fromkeys(self[0]) if self._items else {}


class SafetyTask(ConfigurableTask):  # type: ignore[misc]
    """A task of one condition. Its YAML names the condition; settings come from the metadata and
    the environment."""

    refuses_long_prompts = True
    """Whether one prompt that does not fit the window stops the run before it begins, as it must
    where the harness asks; else `too_long` names such items, and they have no instances."""
    run: ConditionRun
    """What is asked, whoever asks it."""
    backend: Any | None = None
    """The harness's model object, for whoever has it; else it is found by way of the chat
    template."""

    def __init__(
        self,
        data_dir: str | None = None,  # noqa: ARG002 (the harness's signature)
        cache_dir: str | None = None,  # noqa: ARG002
        download_mode: Any = None,  # noqa: ARG002
        config: Mapping[str, Any] | None = None,
        like: SafetyTask | None = None,
        on_progress: Callable[[str], object] = lambda _: None,
        warn: Warn | None = None,
    ) -> None:
        """`on_progress` is told of what is made before the first request, and of how many items;
        `warn` of what is odd (None: logged, each once in an evaluation)."""
        self._evaluation = _evaluation() if warn is None else _Evaluation(warn)
        self.warn = self._evaluation.warn
        try:
            super().__init__(config=self._prepare(dict(config or {}), like, on_progress))
        except SafescaleError as error:
            self._evaluation.closed = True
            raise TaskSetupError(error) from None
        self._filters = [
            FilterEnsemble(FILTER_NAME, [functools.partial(ReadAnswers, self.run.read)])
        ]

    # --- before the run ---------------------------------------------------------------------------

    def _prepare(
        self, config: dict[str, Any], like: SafetyTask | None, on_progress: Callable[[str], object]
    ) -> dict[str, Any]:
        """The harness's configuration of this task, from its YAML, the settings and the data;
        `like`: a task of the same settings, whose data it shares."""
        config.pop("class", None)
        condition = plugins().find("condition", config.pop("condition"))
        metadata = dict(config.get("metadata") or {})
        self._check_model_args(metadata)
        self.run = ConditionRun(
            condition,
            metadata,
            family=config.pop("family", None) or "",
            like=like.run if like else None,
            on_progress=on_progress,
            warn=self.warn,
        )
        for _, line in summarized(self.run.data.warnings, self.run.data.name):
            self.warn(line)
        self._weighing = Weighing(self.run.scorer)
        self._statuses: dict[str, int] | None = None
        self._raters: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, str] = {}
        """Items that are asked for, and for which nothing could be made to stand above the
        question, with the reason."""
        self.too_long: dict[str, str] = {}
        """Items that do not fit the window, with the sizes."""
        self._sends_seed = self.run.settings.send_seed
        system = self.run.prompt.system
        self._description = f"{{% raw %}}{system}{{% endraw %}}" if system else ""
        return {
            **config,
            "task_alias": self._alias(config["task"]),
            "test_split": "test",
            "output_type": "generate_until",
            "num_fewshot": 0,
            "description": self._description,
            "generation_kwargs": {"until": [STOP]},
            "process_results": "lm_eval_safescale",
            "metric_list": self._weighing.metric_list(),
            "metadata": metadata
            | {"safescale": {**self.run.provenance(), "settings": self._recorded()}},
        }

    def _recorded(self) -> dict[str, Any]:
        """The settings in force."""
        return self.run.settings.model_dump(mode="json") | {"send_seed": self._sends_seed}

    def _alias(self, task: str) -> str:
        """The name in the harness's table, with what its figures must not be read without."""
        marks = ["DEMO"] * self.run.data.is_demo + marks_on(self._recorded())
        return f"{task} ({', '.join(marks)})" if marks else task

    def _check_model_args(self, metadata: Mapping[str, Any]) -> None:
        for key, setting in misspelt(metadata).items():
            self.warn(
                f"metadata {key!r} is not a setting of this task and is ignored; did you mean "
                f"{setting!r}?"
            )
        if metadata.get("think_end_token") not in (None, KEPT):
            raise SafescaleError(
                "model_args think_end_token would hand unfinished reasoning over as if it were the "
                "answer; leave it out: "
                'reasoning is recognised and stripped here (--metadata \'{"reasoning": "on"}\' '
                "raises the token limit). Where the harness demands one, with "
                f"enable_thinking=True, give think_end_token={KEPT}, which strips nothing"
            )
        if metadata.get("think_end_token") and backends.names_server(metadata):
            raise SafescaleError(
                "model_args think_end_token: leave it out, for with it the harness stops at a "
                "reply of a server that comes in parts"
            )

    def download(self, *_: Any, **__: Any) -> None:
        """Lays out the docs; the data itself is loaded already."""
        self.dataset = {"test": Documents(self.run.data.items, self.run.document)}

    def fewshot_docs(self) -> list[dict[str, Any]]:
        """None: no question is asked with examples. The harness would take all docs for such, and
        keep them."""
        return []

    def doc_iterator(
        self,
        *,
        rank: int = 0,
        limit: int | None = None,
        world_size: int = 1,
        samples: list[int] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """This rank's docs. `limit` and `samples` choose among all items, as in every other
        condition; then those are left out for which nothing could be made to stand above the
        question."""
        failed = self.run.failed
        asked = super().doc_iterator(limit=limit, samples=samples)
        return islice(
            ((number, doc) for number, doc in asked if doc["question_id"] not in failed),
            rank,
            None,
            world_size,
        )

    def doc_to_text(self, doc: Mapping[str, Any], doc_to_text: Any = None) -> str:  # noqa: ARG002
        """The user turn."""
        return self.run.user_turn(doc["question_id"])

    def doc_to_target(self, doc: Mapping[str, Any], doc_to_target: Any = None) -> str:  # noqa: ARG002
        """The key."""
        return str(doc.get("answer", ""))

    # --- asking -----------------------------------------------------------------------------------

    def build_all_requests(self, **kwargs: Any) -> None:
        """Builds the requests afresh, warns of a chat template left unused, and refuses prompts
        that would be cut."""
        try:
            backend = self._settle(kwargs)
            super().build_all_requests(**kwargs)
            first = self._instances[0].doc_id if self._instances else None
            self._check_payloads(
                backend, [each for each in self._instances if each.doc_id == first]
            )
            prompts = (
                (each.doc["question_id"], each.args[0]) for each in self._instances if each.idx == 0
            )
            self._find_too_long(backend, prompts)
        except SafescaleError as error:
            raise TaskSetupError(error) from None
        self._instances: list[Instance] = [
            each for each in self._instances if each.doc["question_id"] not in self.too_long
        ]

    def prepare(self, *, limit: int | None, **how: Any) -> tuple[str, ...]:
        """All that `build_all_requests` does but for the requests, which `instances_of` makes: no
        prompt is held.

        Parameters
        ----------
        limit
            Of the items, the first so many.
        how
            `apply_chat_template`, `chat_template`, as of `build_all_requests`.

        Returns
        -------
        Ids of the items that can be asked.
        """
        try:
            backend = self._settle({"limit": limit, **how})
            self._how = how
            failed = self.run.failed
            names = tuple(
                item.question_id
                for item in self.run.data.items[: limit or None]
                if item.question_id not in failed
            )
            self._check_payloads(backend, self.instances_of(names[0]))
            self._find_too_long(backend, self._perhaps_too_long(names, backend))
        except SafescaleError as error:
            raise TaskSetupError(error) from None
        return tuple(name for name in names if name not in self.too_long)

    def instances_of(self, question_id: str) -> list[Instance]:
        """The requests of one item, with the prompt that `build_all_requests` would give it; after
        `prepare`."""
        number = self.run.data.places[question_id]
        doc = self.eval_docs[number]
        prompt = self.fewshot_context(
            doc, num_fewshot=0, gen_prefix=self.doc_to_prefix(doc), **self._how
        )
        return self.construct_requests(
            doc, prompt, metadata=(self.config.task, number, self.config.repeats), **self._how
        )

    def _perhaps_too_long(
        self, names: Sequence[str], backend: Any | None
    ) -> Iterator[tuple[str, Any]]:
        """Items with their prompts, but for those whose user turn is so short that no template
        could make the prompt too long."""
        window = self._window(backend)
        if window is None:
            return
        first = self.instances_of(names[0])[0].args[0]
        dress = len(str(first).encode()) - len(self.run.user_turn(names[0]).encode())
        for number, name in enumerate(names):
            if number % SAY_EVERY == 0:
                self.run.say("prompts", number)
            if (
                len(self.run.user_turn(name).encode()) + 2 * max(dress, 0) + self.run.token_limit
                > window
            ):
                yield name, self.instances_of(name)[0].args[0]

    def _settle(self, kwargs: dict[str, Any]) -> Any | None:
        """What must be known before the first prompt is made; gives the harness's model object, if
        there is one."""
        self._evaluation.closed = True
        self._refuse_overrides()
        if kwargs.get("cache_requests"):
            self.warn(
                "--cache_requests is ignored: the harness's request cache does not know data set, "
                "prompt or draws"
            )
            kwargs |= {"cache_requests": False, "rewrite_requests_cache": False}
        metadata = self.config.metadata
        if not kwargs.get("apply_chat_template") and kwargs.get("rank", 0) == 0:
            self._warn_of_unused_chat_template(metadata)
        backend = self.backend or backends.backend_of(kwargs.get("chat_template"))
        self._prepare_backend(backend)
        self._separate_seeds = self._sends_seed and backends.sends_one_seed(backend, metadata)
        self._first_seed = backends.first_seed(metadata)
        self._weighing.ranks = kwargs.get("world_size", 1)
        reasons = (
            bool(kwargs.get("apply_chat_template"))
            and backend is not None
            and backends.reasons(backend)
        )
        if self.run.ready(
            lambda: ModelFacts(*backends.window_and_tokenizer(backend, metadata)), reasons=reasons
        ):
            self.download()  # with the traces of contexts
        self._leave_out(**{name: kwargs.get(name) for name in ("limit", "samples")})
        self._warn_of_contexts()
        turns_are_one_text = self._description and not kwargs.get("apply_chat_template")
        self.config.description = self._description + ("\n\n" if turns_are_one_text else "")
        return backend

    def _prepare_backend(self, backend: Any | None) -> None:
        for warning in payloads.prepare(
            backend, self.run.settings, sees_replies=self.backend is not None
        ):
            self.warn(warning)
        self._sends_seed = self.run.settings.send_seed and (
            backend is None or backends.takes_seed(backend)
        )
        for note in notes_on(self._recorded()):
            self.warn(note)
        self.config.task_alias = self._alias(self.config.task)

    def _check_payloads(self, backend: Any | None, of_one_item: Sequence[Instance]) -> None:
        """Looks at the requests of one item, which stand for all, before the first of them is
        sent."""
        if backend is not None and of_one_item:
            payloads.check(
                backend, [each.args for each in of_one_item], stop=STOP, send_seed=self._sends_seed
            )

    def _leave_out(self, **chosen: Any) -> None:
        """Of the items that this run asks for, those for which nothing could be made to stand above
        the question, and why."""
        failed = self.run.failed
        asked = [doc["question_id"] for _, doc in super().doc_iterator(**chosen)] if failed else []
        self.left_out = {name: failed[name] for name in asked if name in failed}
        if not self.left_out:
            return
        name, why = next(iter(self.left_out.items()))
        if len(self.left_out) == len(asked):
            raise SafescaleError(
                f"{self.config.task}: no report could be made of any item that is asked for (first "
                f"{name}: {why})"
            )
        logger.warning(
            "%s: %d of %d items are left out, because no report could be made of them (first %s: "
            "%s)",
            self.config.task,
            len(self.left_out),
            len(asked),
            name,
            why,
        )

    def _warn_of_contexts(self) -> None:
        for notice in notices_of(self.run.contexts) if self.run.contexts else ():
            logger.warning("%s: %s", self.config.task, notice)

    def _refuse_overrides(self) -> None:
        given = self.config.generation_kwargs
        for name, setting in FIXED_BY_SETTINGS.items():
            if name in given:
                instead = (
                    f"use --metadata '{{\"{setting}\": ...}}'"
                    if setting
                    else "leave it out: it would make all draws alike"
                )
                raise SafescaleError(
                    f"--gen_kwargs {name}={given[name]} cannot be used with {self.config.task}; "
                    f"{instead}"
                )

    def _warn_of_unused_chat_template(self, metadata: Mapping[str, Any]) -> None:
        tokenizer = backends.load_tokenizer(metadata)
        if tokenizer is not None and getattr(tokenizer, "chat_template", None):
            rule = "!" * 100
            self.warn(
                f"\n{rule}\n!! This model has a chat template, but --apply_chat_template was not "
                "given.\n"
                "!! It is asked in a form it was not trained on: expect wrong and unreadable "
                f"answers. Add --apply_chat_template.\n{rule}"
            )

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **kwargs: Any) -> list[Instance]:
        """The greedy request, then the sampled ones: K repeats of one request, or K requests of a
        seed each."""
        task_name, doc_id, _ = kwargs["metadata"]
        self.run.see(ctx)
        common = self.config.generation_kwargs
        until = [common["until"]] if isinstance(common["until"], str) else common["until"]

        def request(idx: int, repeats: int, **generation: Any) -> Instance:
            arguments = (
                ctx,
                {
                    **common,
                    "until": list(until),
                    "max_gen_toks": self.run.token_limit,
                    **generation,
                },
            )
            return Instance("generate_until", doc, arguments, idx, (task_name, doc_id, repeats))

        draws, sampling = (
            self.run.settings.draws,
            {"do_sample": True, "temperature": self.run.settings.temperature},
        )
        greedy = self.run.settings.greedy_temperature
        requests = [request(0, 1, do_sample=greedy > 0, temperature=greedy)]
        if draws and self._separate_seeds:
            requests += [
                request(draw, 1, **sampling, seed=self._first_seed + draw)
                for draw in range(1, draws + 1)
            ]
        elif draws:
            requests.append(request(1, draws, **sampling))
        return requests

    def _window(self, backend: Any | None) -> int | None:
        return (
            backends.window_of(backend)
            if backend is not None
            else backends.stated_window(self.config.metadata)
        )

    def _find_too_long(self, backend: Any | None, prompts: Iterable[tuple[str, Any]]) -> None:
        """The harness cuts a prompt that is too long from the left, and with it the evidence:
        refuse before it does."""
        limit, metadata, window = self.run.token_limit, self.config.metadata, self._window(backend)
        count = backends.token_counter(backend, metadata) if window else None
        self.too_long = {}
        if window is None or count is None:
            return
        sizes = {}
        for name, prompt in prompts:
            # a token has >= 1 byte
            if isinstance(prompt, str) and len(prompt.encode()) + limit > window:
                tokens = count(prompt)
                if tokens + limit > window:
                    sizes[name] = tokens
        if not sizes:
            return
        if self.refuses_long_prompts:
            question_id = max(sizes, key=sizes.__getitem__)
            raise SafescaleError(
                f"{self.config.task}: {len(sizes)} of {len(self.run.data)} prompts do not fit the "
                f"model's window of {window} tokens; the longest (item {question_id}) has "
                f"{sizes[question_id]}, and the answer needs {limit} more. The harness would cut "
                "them from the left, evidence first. Use a larger window (max_model_len, "
                "max_length) or a lower max_answer_tokens"
            )
        self.too_long = {
            name: (
                f"the prompt has {tokens:,} tokens and the answer needs {limit:,} more: too long "
                f"for the window of {window:,}"
            )
            for name, tokens in sizes.items()
        }

    def dump_config(self) -> dict[str, Any]:
        """The harness's record of this task, with the token limit that was in force."""
        config: dict[str, Any] = super().dump_config()
        about, contexts = config["metadata"]["safescale"], self.run.contexts
        about["settings"] = self._recorded() | {"max_answer_tokens": self.run.token_limit}
        about["reasoning_opened"] = self.run.reasoning_opened
        about["contexts"] = {**contexts.about, **contexts.summary()} if contexts else None
        about["left_out"] = len(self.left_out)
        about["statuses"] = self._statuses
        about |= {"raters": self._raters} if self._raters else {}
        if replaced := self.run.replaced_settings:
            about["replaced_settings"] = replaced
        about["failed_metrics"] = dict(self._weighing.failed)
        config["metadata"] = without_secrets(config["metadata"])
        return config

    # --- weighing ---------------------------------------------------------------------------------

    def apply_filters(self) -> None:
        """Puts the outputs of each question in order (one greedy, then K samples) and reads
        them."""
        self._instances = list(self._in_order())
        super().apply_filters()
        for warning in output_warnings.of_odd_outputs(self._instances):
            logger.warning("%s: %s", self.config.task, warning)
        for instance in self._instances:  # whatever the backend gave, a log holds texts
            instance.resps = list(map(logged, instance.resps))
        statuses = output_warnings.greedy_statuses(self._instances)
        if self._weighing.ranks == 1:  # else these are of one rank's items alone
            others = {Status.OK} if self.run.family.judged else {Status.OK, Status.UNJUDGED}
            self._statuses = {each.value: statuses[each] for each in Status if each not in others}
        for warning in output_warnings.of_readings(
            self._instances, self.run.settings, self.run.token_limit
        ):
            logger.warning("%s: %s", self.config.task, warning)
        results = self._read_results()
        self._weighing.take(results)
        if self._weighing.ranks == 1:
            self._raters = self.run.scorer.of_raters(results)

    def _in_order(self) -> Iterable[Instance]:
        by_doc: dict[int, list[Instance]] = defaultdict(list)
        for instance in self._instances:
            # several ranks: the harness pads the last request with more
            instance.resps = instance.resps[: instance.repeats]
            by_doc[instance.doc_id].append(instance)
        for instances in by_doc.values():
            greedy, *sampled = sorted(instances, key=lambda instance: instance.idx)
            yield greedy
            if sampled:
                first = sampled[0]
                first.resps = [text for instance in sampled for text in instance.resps]
                yield first

    def _read_results(self) -> dict[str, list[list[str]]]:
        """What `process_results` will be given, by item."""
        results: dict[str, list[list[str]]] = defaultdict(list)
        for instance in self._instances:
            results[instance.doc["question_id"]].append(instance.filtered_resps[FILTER_NAME])
        return results

    def process_results(self, doc: Mapping[str, Any], results: list[list[str]]) -> dict[str, Any]:
        """The item's value of every metric of the table, as of `Weighing.values`."""
        if "bypass" in self._metric_fn_list:  # --predict_only
            return {"bypass": None}
        return self._weighing.values(doc["question_id"], results)

    def aggregation(self) -> dict[str, Any]:
        """The harness's aggregation of each metric; of one that failed, that it is not scored."""
        aggregations: dict[str, Any] = super().aggregation()
        return aggregations | self._weighing.aggregations()

"""The task class behind every `radsafe_*` task: one question, one greedy answer and K samples, read and weighed.

It must work under the stock command line with every option the harness has, so it corrects for what the harness would do to
such a task: one seed for all samples of an API, padding that adds draws to the last question of a rank, prompts cut from the
left, request caches that do not know the data set, and reasoning handed over as an answer.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from lm_eval.api.filter import FilterEnsemble
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from lm_eval_safescale import __version__, assembly
from lm_eval_safescale.assembly import ModelFacts, Scorer
from lm_eval_safescale.chat.content import UNKNOWN, read_content
from lm_eval_safescale.contexts import Condition, ContextBuilder, ContextSet, notices_of
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.harness import backends, output_warnings, payloads
from lm_eval_safescale.harness.outputs import FILTER_NAME, ReadAnswers, logged
from lm_eval_safescale.harness.weighing import Weighing
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.reading import opens_reasoning, read_output
from lm_eval_safescale.records import Context, Item, Reading, Status
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.sections import marks_on, notes_on
from lm_eval_safescale.settings import REASONING_TOKENS, Settings, load_settings, misspelt

logger = logging.getLogger("lm_eval.tasks.safescale")
warn_once = functools.cache(logger.warning)

STOP = "<|im_end|>"
"""A stop sequence that no answer contains: without one the harness stops at a blank line, and some servers refuse to go on."""
KEPT = "<|kept|>"
"""An end-of-thinking token that no model writes: it satisfies the harness and leaves the reasoning in the text."""
SAY_EVERY = 1000
"""Items."""
FIXED_BY_SETTINGS = {
    "temperature": "temperature",
    "do_sample": "draws",
    "seed": None,
    "n": "draws",
    "num_return_sequences": "draws",
    **dict.fromkeys(("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"), "max_answer_tokens"),
}
"""Generation arguments that this task sets itself, and the setting (if any) by which the user sets them."""


class TaskSetupError(SystemExit, SafescaleError):
    """An error of the user's to mend. It leaves the command line without a traceback, with exit status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(f"error: {message}")


class Documents(Sequence[dict[str, Any]]):
    """The docs of a task, each made when it is asked for: those of a large data set would fill the memory."""

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
    """A task of one condition. Its YAML names the condition; settings come from the metadata and the environment."""

    refuses_long_prompts = True
    """Whether one prompt that does not fit the window stops the run before it begins, as it must where the harness asks; else
    `too_long` names such items, and they have no instances."""
    backend: Any | None = None
    """The harness's model object, for whoever has it; else it is found by way of the chat template."""

    def __init__(
        self,
        data_dir: str | None = None,  # noqa: ARG002 (the harness's signature)
        cache_dir: str | None = None,  # noqa: ARG002
        download_mode: Any = None,  # noqa: ARG002
        config: Mapping[str, Any] | None = None,
        like: SafetyTask | None = None,
        on_progress: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`on_progress` is told of what is made before the first request, and of how many items."""
        self._on_progress = on_progress
        try:
            super().__init__(config=self._prepare(dict(config or {}), like))
        except SafescaleError as error:
            raise TaskSetupError(str(error)) from None
        self._filters = [FilterEnsemble(FILTER_NAME, [functools.partial(ReadAnswers, self.read)])]

    # --- before the run -------------------------------------------------------------------------------------------------

    def _prepare(self, config: dict[str, Any], like: SafetyTask | None) -> dict[str, Any]:
        """The harness's configuration of this task, from its YAML, the settings and the data; `like`: a task of the same settings, whose
        data it shares."""
        config.pop("class", None)
        self._condition = plugins().find("condition", config.pop("condition"))
        self.condition: Condition = self._condition.thing
        metadata = dict(config.get("metadata") or {})
        family = config.pop("family", None)
        self.family: Family = assembly.family_named(family) if family else assembly.family_of(self._condition)
        self.settings: Settings = load_settings(metadata, defaults=self.family.defaults)
        self._check_model_args(metadata)
        self.template = load_prompt(self.settings.prompt_file, self.family.prompt(self.condition.name))
        if self.condition.builder and not self.template.shows_context:
            raise SafescaleError(
                f"prompt_file: {self.settings.prompt_file}: the user turn has no {{context}}, "
                f"so the evidence of {config['task']} would not be shown"
            )
        evidence = [self.condition.evidence] if self.condition.evidence else []
        if like is not None and like.family is self.family and self.condition.can_show(like.data):
            self.data: Dataset = like.data
            self._items: Mapping[str, Item] = like._items
            self._scorer: Scorer = like._scorer
        else:
            self.data = assembly.load_dataset(self.settings, evidence, self.family)
            self._items = {item.question_id: item for item in self.data}
            metrics = assembly.table_metrics(self.settings, self.family, self.family.table(self.data))
            self._scorer = Scorer(self.family, self.data, metrics, self.settings, self.settings.draws)
        for warning in self.data.warnings:
            warn_once(warning.describe(self.data.name))
        self._weighing = Weighing(self._scorer)
        self._statuses: dict[str, int] | None = None
        self.left_out: dict[str, str] = {}
        """Items that are asked for, and for which nothing could be made to stand above the question, with the reason."""
        self.too_long: dict[str, str] = {}
        """Items that do not fit the window, with the sizes."""
        self._reader = assembly.find_reader(self.settings, self.family)
        self._reader_failed = False
        self._contexts: ContextSet | None = None
        self._builder = assembly.builder_of(self._condition, self.settings)
        if not self._waits_for_model:
            self._contexts = self._contexts_for()
        self._sends_seed = self.settings.send_seed
        self._reset_limit()
        system = self.template.system
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
            "metadata": metadata | {"safescale": self._provenance()},
        }

    def _recorded(self) -> dict[str, Any]:
        """The settings in force."""
        return self.settings.model_dump(mode="json") | {"send_seed": self._sends_seed}

    def _alias(self, task: str) -> str:
        """The name in the harness's table, with what its figures must not be read without."""
        marks = ["DEMO"] * self.data.is_demo + marks_on(self._recorded())
        return f"{task} ({', '.join(marks)})" if marks else task

    def _check_model_args(self, metadata: Mapping[str, Any]) -> None:
        for key, setting in misspelt(metadata).items():
            warn_once(f"metadata {key!r} is not a setting of this task and is ignored; did you mean {setting!r}?")
        if metadata.get("think_end_token") not in (None, KEPT):
            raise SafescaleError(
                "model_args think_end_token would hand unfinished reasoning over as if it were the answer; leave it out: "
                'reasoning is recognised and stripped here (--metadata \'{"reasoning": "on"}\' raises the token limit). '
                f"Where the harness demands one, with enable_thinking=True, give think_end_token={KEPT}, which strips nothing"
            )
        if metadata.get("think_end_token") and backends.names_server(metadata):
            raise SafescaleError(
                "model_args think_end_token: leave it out, for with it the harness stops at a reply of a server that comes in parts"
            )

    @property
    def _waits_for_model(self) -> bool:
        """Whether what is shown depends on the model, so that it can only be made once the model is known."""
        builder: ContextBuilder | None = self._builder.thing if self._builder else None
        return builder is not None and builder.needs_model

    def _provenance(self) -> dict[str, Any]:
        """What a result must say of how it came about."""
        return {
            "version": __version__,
            "condition": self.condition.name,
            "family_version": self.family.version,
            "dataset": {
                "family": self.family.name,
                "name": self.data.name,
                "version": self.data.version,
                "fingerprint": self.data.fingerprint,
                "items": len(self.data),
                "labelled": self.data.is_labelled,
                "demo": self.data.is_demo,
            },
            "settings": self._recorded(),
            "reader_version": self._reader.version,
            "prompt_sha256": self.template.fingerprint,
        }

    def download(self, *_: Any, **__: Any) -> None:
        """Lays out the docs; the data itself is loaded already."""
        self.dataset = {"test": Documents(self.data.items, self._document)}

    def fewshot_docs(self) -> list[dict[str, Any]]:
        """None: no question is asked with examples. The harness would take all docs for such, and keep them."""
        return []

    def doc_iterator(
        self, *, rank: int = 0, limit: int | None = None, world_size: int = 1, samples: list[int] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """This rank's docs. `limit` and `samples` choose among all items, as in every other condition; then those are left out for
        which nothing could be made to stand above the question."""
        failed = self._contexts.failed if self._contexts else {}
        asked = super().doc_iterator(limit=limit, samples=samples)
        return islice(((number, doc) for number, doc in asked if doc["question_id"] not in failed), rank, None, world_size)

    def _document(self, item: Item) -> dict[str, Any]:
        return {**item.as_doc(), "condition": self.condition.name, **self._shown(item.question_id)}

    def _shown(self, question_id: str) -> dict[str, Any]:
        """What a log says of the context: its fingerprint, and what it was made of."""
        context = self.context(question_id)
        if context is None:
            return {"context_fingerprint": None, "context": None}
        return {"context_fingerprint": context.fingerprint, "context": context.as_dict()}

    def item(self, question_id: str) -> Item:
        """An item of the data set."""
        return self._items[question_id]

    def context(self, question_id: str) -> Context | None:
        """What stands above the question; None for nothing."""
        return self._contexts.contexts.get(question_id) if self._contexts else None

    def _make_contexts(self, backend: Any | None) -> None:
        """Contexts that depend on the model, and their traces in the docs."""
        facts = ModelFacts(*backends.window_and_tokenizer(backend, self.config.metadata))
        self._contexts = self._contexts_for(facts)
        self.download()

    def _contexts_for(self, facts: ModelFacts | None = None) -> ContextSet | None:
        return assembly.contexts_of(
            self._condition, self.data, self.settings, facts, on_progress=lambda items: self._say("contexts", items)
        )

    def _say(self, what: str, items: int) -> None:
        self._on_progress(f"{self.condition.name}: {what} for {items:,} of {len(self.data):,} items")

    def doc_to_text(self, doc: Mapping[str, Any], doc_to_text: Any = None) -> str:  # noqa: ARG002
        """The user turn."""
        return self._user_turn(doc["question_id"])

    def doc_to_target(self, doc: Mapping[str, Any], doc_to_target: Any = None) -> str:  # noqa: ARG002
        """The key."""
        return str(doc.get("answer", ""))

    # --- asking ---------------------------------------------------------------------------------------------------------

    def build_all_requests(self, **kwargs: Any) -> None:
        """Builds the requests afresh, warns of a chat template left unused, and refuses prompts that would be cut."""
        try:
            backend = self._settle(kwargs)
            super().build_all_requests(**kwargs)
            first = self._instances[0].doc_id if self._instances else None
            self._check_payloads(backend, [each for each in self._instances if each.doc_id == first])
            prompts = ((each.doc["question_id"], each.args[0]) for each in self._instances if each.idx == 0)
            self._find_too_long(backend, prompts)
        except SafescaleError as error:
            raise TaskSetupError(str(error)) from None
        self._instances: list[Instance] = [each for each in self._instances if each.doc["question_id"] not in self.too_long]

    def prepare(self, *, limit: int | None, **how: Any) -> tuple[str, ...]:
        """All that `build_all_requests` does but for the requests, which `instances_of` makes: no prompt is kept.

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
            failed = self._contexts.failed if self._contexts else {}
            self._numbers = {item.question_id: number for number, item in enumerate(self.data.items[: limit or None])}
            names = tuple(name for name in self._numbers if name not in failed)
            self._check_payloads(backend, self.instances_of(names[0]))
            self._find_too_long(backend, self._perhaps_too_long(names, backend))
        except SafescaleError as error:
            raise TaskSetupError(str(error)) from None
        return tuple(name for name in names if name not in self.too_long)

    def instances_of(self, question_id: str) -> list[Instance]:
        """The requests of one item, with the prompt that `build_all_requests` would give it; after `prepare`."""
        number = self._numbers[question_id]
        doc = self.eval_docs[number]
        prompt = self.fewshot_context(doc, num_fewshot=0, gen_prefix=self.doc_to_prefix(doc), **self._how)
        return self.construct_requests(doc, prompt, metadata=(self.config.task, number, self.config.repeats), **self._how)

    def _perhaps_too_long(self, names: Sequence[str], backend: Any | None) -> Iterator[tuple[str, Any]]:
        """Items with their prompts, but for those whose user turn is so short that no template could make the prompt too long."""
        window = self._window(backend)
        if window is None:
            return
        first = self.instances_of(names[0])[0].args[0]
        dress = len(str(first).encode()) - len(self._user_turn(names[0]).encode())
        for number, name in enumerate(names):
            if number % SAY_EVERY == 0:
                self._say("prompts", number)
            if len(self._user_turn(name).encode()) + 2 * max(dress, 0) + self.token_limit > window:
                yield name, self.instances_of(name)[0].args[0]

    def _user_turn(self, question_id: str) -> str:
        return self.template.render(self._items[question_id], self.context(question_id))

    def _settle(self, kwargs: dict[str, Any]) -> Any | None:
        """What must be known before the first prompt is made; gives the harness's model object, if there is one."""
        self._refuse_overrides()
        if kwargs.get("cache_requests"):
            warn_once("--cache_requests is ignored: the harness's request cache does not know data set, prompt or draws")
            kwargs |= {"cache_requests": False, "rewrite_requests_cache": False}
        metadata = self.config.metadata
        if not kwargs.get("apply_chat_template") and kwargs.get("rank", 0) == 0:
            self._warn_of_unused_chat_template(metadata)
        backend = self.backend or backends.backend_of(kwargs.get("chat_template"))
        self._prepare_backend(backend)
        self._separate_seeds = self._sends_seed and backends.sends_one_seed(backend, metadata)
        self._first_seed = backends.first_seed(metadata)
        self._weighing.ranks = kwargs.get("world_size", 1)
        self._reset_limit()
        if kwargs.get("apply_chat_template") and backend is not None and backends.reasons(backend):
            self._expect_reasoning()
        if self._waits_for_model:
            self._make_contexts(backend)
        self._leave_out(**{name: kwargs.get(name) for name in ("limit", "samples")})
        self._warn_of_contexts()
        turns_are_one_text = self._description and not kwargs.get("apply_chat_template")
        self.config.description = self._description + ("\n\n" if turns_are_one_text else "")
        return backend

    def _prepare_backend(self, backend: Any | None) -> None:
        for warning in payloads.prepare(backend, self.settings, sees_replies=self.backend is not None):
            warn_once(warning)
        self._sends_seed = self.settings.send_seed and (backend is None or backends.takes_seed(backend))
        for note in notes_on(self._recorded()):
            warn_once(note)
        self.config.task_alias = self._alias(self.config.task)

    def _check_payloads(self, backend: Any | None, of_one_item: Sequence[Instance]) -> None:
        """Looks at the requests of one item, which stand for all, before the first of them is sent."""
        if backend is not None and of_one_item:
            payloads.check(backend, [each.args for each in of_one_item], stop=STOP, send_seed=self._sends_seed)

    def _leave_out(self, **chosen: Any) -> None:
        """Of the items that this run asks for, those for which nothing could be made to stand above the question, and why."""
        failed = self._contexts.failed if self._contexts else {}
        asked = [doc["question_id"] for _, doc in super().doc_iterator(**chosen)] if failed else []
        self.left_out = {name: failed[name] for name in asked if name in failed}
        if not self.left_out:
            return
        name, why = next(iter(self.left_out.items()))
        if len(self.left_out) == len(asked):
            raise SafescaleError(
                f"{self.config.task}: no report could be made of any item that is asked for (first {name}: {why})"
            )
        logger.warning(
            "%s: %d of %d items are left out, because no report could be made of them (first %s: %s)",
            self.config.task, len(self.left_out), len(asked), name, why,
        )  # fmt: skip

    def _warn_of_contexts(self) -> None:
        for notice in notices_of(self._contexts) if self._contexts else ():
            logger.warning("%s: %s", self.config.task, notice)

    def _refuse_overrides(self) -> None:
        given = self.config.generation_kwargs
        for name, setting in FIXED_BY_SETTINGS.items():
            if name in given:
                instead = (
                    f"use --metadata '{{\"{setting}\": ...}}'" if setting else "leave it out: it would make all draws alike"
                )
                raise SafescaleError(f"--gen_kwargs {name}={given[name]} cannot be used with {self.config.task}; {instead}")

    def _warn_of_unused_chat_template(self, metadata: Mapping[str, Any]) -> None:
        tokenizer = backends.load_tokenizer(metadata)
        if tokenizer is not None and getattr(tokenizer, "chat_template", None):
            rule = "!" * 100
            warn_once(
                f"\n{rule}\n!! This model has a chat template, but --apply_chat_template was not given.\n"
                f"!! It is asked in a form it was not trained on: expect wrong and unreadable answers. Add --apply_chat_template.\n{rule}"
            )

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **kwargs: Any) -> list[Instance]:
        """The greedy request, then the sampled ones: K repeats of one request, or K requests of a seed each."""
        task_name, doc_id, _ = kwargs["metadata"]
        if isinstance(ctx, str) and opens_reasoning(ctx):
            self._reasoning_opened = True
            self._expect_reasoning()
        common = self.config.generation_kwargs
        until = [common["until"]] if isinstance(common["until"], str) else common["until"]

        def request(idx: int, repeats: int, **generation: Any) -> Instance:
            arguments = (ctx, {**common, "until": list(until), "max_gen_toks": self.token_limit, **generation})
            return Instance("generate_until", doc, arguments, idx, (task_name, doc_id, repeats))

        draws, sampling = self.settings.draws, {"do_sample": True, "temperature": self.settings.temperature}
        greedy = self.settings.greedy_temperature
        requests = [request(0, 1, do_sample=greedy > 0, temperature=greedy)]
        if draws and self._separate_seeds:
            requests += [request(draw, 1, **sampling, seed=self._first_seed + draw) for draw in range(1, draws + 1)]
        elif draws:
            requests.append(request(1, draws, **sampling))
        return requests

    def _reset_limit(self) -> None:
        self._reasoning_opened = False
        self._reasons = self.settings.reasoning in ("on", "separate")
        self.token_limit = self.settings.answer_tokens

    def _expect_reasoning(self) -> None:
        """The model reasons first: the answer needs room after it, unless the user set the limit."""
        self._reasons = self.settings.reasoning != "off"
        if self.settings.reasoning == "auto" and self.settings.max_answer_tokens is None:
            self.token_limit = REASONING_TOKENS

    def _window(self, backend: Any | None) -> int | None:
        return backends.window_of(backend) if backend is not None else backends.stated_window(self.config.metadata)

    def _find_too_long(self, backend: Any | None, prompts: Iterable[tuple[str, Any]]) -> None:
        """The harness cuts a prompt that is too long from the left, and with it the evidence: refuse before it does."""
        limit, metadata, window = self.token_limit, self.config.metadata, self._window(backend)
        count = backends.token_counter(backend, metadata) if window else None
        self.too_long = {}
        if window is None or count is None:
            return
        sizes = {}
        for name, prompt in prompts:
            if isinstance(prompt, str) and len(prompt.encode()) + limit > window:  # a token has >= 1 byte
                tokens = count(prompt)
                if tokens + limit > window:
                    sizes[name] = tokens
        if not sizes:
            return
        if self.refuses_long_prompts:
            question_id = max(sizes, key=sizes.__getitem__)
            raise SafescaleError(
                f"{self.config.task}: {len(sizes)} of {len(self.data)} prompts do not fit the model's window of {window} "
                f"tokens; the longest (item {question_id}) has {sizes[question_id]}, and the answer needs {limit} more. The harness "
                "would cut them from the left, evidence first. Use a larger window (max_model_len, max_length) or a lower "
                "max_answer_tokens"
            )
        self.too_long = {
            name: f"the prompt has {tokens:,} tokens and the answer needs {limit:,} more: too long for the window of {window:,}"
            for name, tokens in sizes.items()
        }

    def dump_config(self) -> dict[str, Any]:
        """The harness's record of this task, with the token limit that was in force."""
        config: dict[str, Any] = super().dump_config()
        about = config["metadata"]["safescale"]
        about["settings"] = self._recorded() | {"max_answer_tokens": self.token_limit}
        about["reasoning_opened"] = self.reasoning_opened
        about["contexts"] = {**self._contexts.about, **self._contexts.summary()} if self._contexts else None
        about["left_out"] = len(self.left_out)
        about["statuses"] = self._statuses
        about["failed_metrics"] = dict(self._weighing.failed)
        config["metadata"] = without_secrets(config["metadata"])
        return config

    # --- reading and weighing -------------------------------------------------------------------------------------------

    @property
    def reader_version(self) -> str:
        """Of what reads the letters."""
        return self._reader.version

    @property
    def reasons(self) -> bool:
        """Whether the model reasons before it answers, by the settings or as far as its chat template says."""
        return self._reasons

    @property
    def reasoning_opened(self) -> bool:
        """Whether a prompt ended inside an open reasoning block."""
        return self._reasoning_opened

    def read(self, output: Any, question_id: str, *, cut: bool = False) -> Reading:
        """What an output to an item says, by this run's reader; an error where a plugin's reader fails, or where it holds no text.

        Parameters
        ----------
        output
            As the backend gave it: a text, parts of one (`read_content`), or None for nothing.
        cut
            Whether a model that reasons is known to have been cut off in it at the token limit: it has not come to its answer then, unless
            it ended its reasoning, or said one bare letter.
        """
        content = UNKNOWN if output is None else read_content(output)
        if content.text == "" and (content.refusal or content.reasons):
            return Reading(None, Status.UNANSWERED if content.refusal else Status.TRUNCATED)
        how: dict[str, Any] = {"reasoning": "on" if cut else self.settings.reasoning, "opened": self._reasoning_opened}
        item = self._items[question_id]
        try:
            return read_output(content.text, lambda text: self.family.read(text, item, self._reader), **how)
        except SafescaleError as error:  # a plugin's reader: what it failed for is not scored, and the other answers are kept
            if not self._reader_failed:
                self._reader_failed = True
                logger.error("%s; what it fails for is logged as an error and not scored", error)
            return Reading(None, Status.ERROR)

    def apply_filters(self) -> None:
        """Puts the outputs of each question in order (one greedy, then K samples) and reads them."""
        self._instances = list(self._in_order())
        super().apply_filters()
        for warning in output_warnings.of_odd_outputs(self._instances):
            logger.warning("%s: %s", self.config.task, warning)
        for instance in self._instances:  # whatever the backend gave, a log holds texts
            instance.resps = list(map(logged, instance.resps))
        statuses = output_warnings.greedy_statuses(self._instances)
        if self._weighing.ranks == 1:  # else these are of one rank's items alone
            self._statuses = {status.value: statuses[status] for status in Status if status is not Status.OK}
        for warning in output_warnings.of_readings(self._instances, self.settings, self.token_limit):
            logger.warning("%s: %s", self.config.task, warning)
        self._weighing.take(self._read_results())

    def _in_order(self) -> Iterable[Instance]:
        by_doc: dict[int, list[Instance]] = defaultdict(list)
        for instance in self._instances:
            instance.resps = instance.resps[: instance.repeats]  # several ranks: the harness pads the last request with more
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

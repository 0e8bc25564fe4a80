"""One condition of a run, for whoever asks: the harness's task and our runner are two ways in to
it. It knows no harness and no backend.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly.answers import find_reader
from lm_eval_safescale.assembly.contexts import ModelFacts, contexts_of
from lm_eval_safescale.assembly.data import find_dataset, load_dataset
from lm_eval_safescale.assembly.families import (
    family_named,
    family_of,
    prompts_of,
    settings_under,
)
from lm_eval_safescale.assembly.lookup import builder_of, find
from lm_eval_safescale.assembly.scoring import Scorer, table_metrics
from lm_eval_safescale.assembly.search import Warn
from lm_eval_safescale.chat.content import UNKNOWN, read_content
from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.reading import opens_reasoning, read_output
from lm_eval_safescale.records import Context, Item, Reading, Status
from lm_eval_safescale.settings import REASONING_TOKENS, Settings, load_settings

logger = logging.getLogger("lm_eval.tasks.safescale")


class ConditionRun:
    """A condition in two phases: *settled* once it is made, *ready* once the model is known
    (`ready`).

    Settled is all that can be wrong without a model: condition, family, settings, data, prompt,
    metrics, reader, and the contexts that do not depend on the model. Ready are the token limit,
    and the contexts that do.

    Parameters
    ----------
    condition
        As it is registered.
    metadata
        Settings, among whatever else stands there.
    family
        Name of the family whose items are asked; "": that of the condition.
    like
        A run of the same settings under another condition, whose data and scorer it shares where it
        can.
    on_progress
        Told what is made before the first request, and of how many items.
    warn
        Told what is odd about what contexts are made of.

    Raises
    ------
    SafescaleError
        For whatever is wrong with condition, settings, data, prompt, metrics or contexts.
    """

    def __init__(
        self,
        condition: Part,
        metadata: Mapping[str, Any],
        *,
        family: str = "",
        like: ConditionRun | None = None,
        on_progress: Callable[[str], object] = lambda _: None,
        warn: Warn = logger.warning,
    ) -> None:
        self.condition: Condition = condition.thing
        self.family: Family = family_named(family) if family else family_of(condition)
        self.shared_settings: Settings = load_settings(metadata, defaults=self.family.defaults)
        """Those of all conditions, without this one's own defaults."""
        self.settings: Settings = settings_under(self.condition, self.family, metadata)
        self.own_settings: Mapping[str, Any] = {
            name: value
            for name in sorted(self.condition.defaults)
            if (value := getattr(self.settings, name)) != getattr(self.shared_settings, name)
        }
        """The settings that the condition's own defaults make others than those of the run."""
        self._has_users_limit = load_settings(metadata).max_answer_tokens is not None
        self.prompt = load_prompt(self.settings.prompt_file, self.family.prompt(condition.name))
        if self.condition.builder and not self.prompt.shows_context:
            raise SafescaleError(
                f"prompt_file: {self.settings.prompt_file}: the user turn has no {{context}}, "
                f"so the evidence of {condition.name} would not be shown"
            )
        if like is not None and like.family is self.family and self.condition.can_show(like.data):
            self.data: Dataset = like.data
            self.items: Mapping[str, Item] = like.items
            self.scorer: Scorer = like.scorer
        else:
            evidence = [self.condition.evidence] if self.condition.evidence else []
            self.data = load_dataset(self.settings, evidence, self.family)
            self.items = {item.question_id: item for item in self.data}
            metrics = table_metrics(self.settings, self.family, self.family.table(self.data))
            self.scorer = Scorer(
                self.family, self.data, metrics, self.settings, self.settings.draws
            )
        self.reader = find_reader(self.settings, self.family)
        self._part, self._on_progress, self._warn = condition, on_progress, warn
        self._reader_failed = False
        builder = builder_of(condition, self.settings)
        self.waits_for_model: bool = builder is not None and builder.thing.needs_model
        """Whether its contexts depend on the model, and are made when that is known."""
        self.contexts: ContextSet | None = None if self.waits_for_model else self._made()
        self._reset()

    def say(self, what: str, items: int) -> None:
        """Tell what is made, and of how many items."""
        self._on_progress(
            f"{self.condition.name}: {what} for {items:,} of {len(self.data):,} items"
        )

    # --- ready ------------------------------------------------------------------------------------

    def ready(self, facts: Callable[[], ModelFacts], *, reasons: bool) -> bool:
        """The model is known.

        Parameters
        ----------
        facts
            Gives what contexts may depend on; asked for where they do.
        reasons
            Whether the model reasons before it answers, as far as it says.

        Returns
        -------
        Whether contexts were made, which were not there before.
        """
        self._reset()
        if reasons:
            self._expect_reasoning()
        if self.waits_for_model:
            self.contexts = self._made(facts())
        return self.waits_for_model

    def _made(self, facts: ModelFacts | None = None) -> ContextSet | None:
        return contexts_of(
            self._part,
            self.data,
            self.settings,
            facts,
            on_progress=lambda items: self.say("contexts", items),
            warn=self._warn,
        )

    def _reset(self) -> None:
        self._is_stripped = False
        self.reasoning_opened = False
        """Whether a prompt ended inside an open reasoning block."""
        self.reasons = self.settings.reasoning in ("on", "separate")
        """Whether the model reasons before it answers, by the settings or as far as it says."""
        self._needs_room = self.reasons

    def see(self, prompt: object) -> None:
        """Look at a prompt as the model gets it: it may have opened the reasoning."""
        if not self._is_stripped and isinstance(prompt, str) and opens_reasoning(prompt):
            self.reasoning_opened = True
            self._expect_reasoning()

    def _expect_reasoning(self) -> None:
        """The model reasons first: the answer needs room after it, unless the user set the
        limit."""
        self.reasons = self.settings.reasoning != "off"
        self._needs_room |= self.settings.reasoning == "auto"

    @property
    def reasoning(self) -> dict[str, Any]:
        """How reasoning is told from an answer: arguments of `strip_reasoning`."""
        return {
            "reasoning": "auto" if self._is_stripped else self.settings.reasoning,
            "opened": self.reasoning_opened,
        }

    def expect_stripped(self) -> None:
        """What is read from now on, and recorded to be read so, holds no reasoning any more."""
        self._is_stripped, self.reasoning_opened, self.reasons = True, False, False
        if self.settings.reasoning != "auto":
            self.own_settings = {**self.own_settings, "reasoning": "auto"}

    @property
    def token_limit(self) -> int:
        """Tokens that an answer may have."""
        return self._limit_by(self.settings)

    @property
    def replaced_settings(self) -> dict[str, Any]:
        """What `own_settings` would be without the condition's own defaults, limits as they would
        be in force."""
        shared = {name: getattr(self.shared_settings, name) for name in self.own_settings}
        limit = {"max_answer_tokens": self._limit_by(self.shared_settings)}
        return {name: limit.get(name, value) for name, value in shared.items()}

    def _limit_by(self, settings: Settings) -> int:
        """With room for reasoning where the model needs it, unless the user set the limit."""
        is_raised = self._needs_room and not self._has_users_limit
        return max(settings.answer_tokens, REASONING_TOKENS if is_raised else 0)

    @property
    def plugins(self) -> dict[str, str]:
        """Packages besides ours whose parts take part, with their versions."""
        settings, known = self.settings, plugins()
        parts = [
            self._part,
            *(part for part in known.all("family") if part.thing is self.family),
            *(asked.part for asked in self.scorer.metrics),
            builder_of(self._part, settings),
            find_dataset(settings) if settings.dataset_path is None else None,
            find("answer reader", settings, "reader") if self.family.takes_readers else None,
        ]
        if self.contexts and self.contexts.about.get("retriever") and settings.contexts is None:
            parts.append(find("retriever", settings, "retriever"))
        return {part.package: part.version for part in parts if part and not part.is_ours}

    # --- an item ----------------------------------------------------------------------------------

    @property
    def failed(self) -> Mapping[str, str]:
        """Items for which nothing could be made to stand above the question, with the reason."""
        return self.contexts.failed if self.contexts else {}

    def context(self, question_id: str) -> Context | None:
        """What stands above the question; None for nothing."""
        return self.contexts.contexts.get(question_id) if self.contexts else None

    def user_turn(self, question_id: str) -> str:
        """What the user says."""
        return self.prompt.render(self.items[question_id], self.context(question_id))

    def document(self, item: Item) -> dict[str, Any]:
        """An item as it stands in a log, with what the context was made of."""
        context = self.context(item.question_id)
        shown = (None, None) if context is None else (context.fingerprint, context.as_dict())
        return {
            **item.as_doc(),
            "condition": self.condition.name,
            **dict(zip(("context_fingerprint", "context"), shown, strict=True)),
        }

    def read(self, output: Any, question_id: str, *, cut: bool = False) -> Reading:
        """What an output to an item says, by this run's reader; an error where a plugin's reader
        fails, or where it holds no text.

        Parameters
        ----------
        output
            As the backend gave it: a text, parts of one (`read_content`), or None for nothing.
        cut
            Whether a model that reasons is known to have been cut off in it at the token limit: it
            has not come to its answer then, unless it ended its reasoning, or said one bare letter.
        """
        content = UNKNOWN if output is None else read_content(output)
        if content.text == "" and (content.refusal or content.reasons):
            return Reading(None, Status.UNANSWERED if content.refusal else Status.TRUNCATED)
        how = self.reasoning | ({"reasoning": "on"} if cut else {})
        item = self.items[question_id]
        try:
            return read_output(
                content.text,
                lambda text: self.family.read_under(self.condition.name, text, item, self.reader),
                **how,
            )
        except SafescaleError as error:
            # a plugin's reader: what it failed for is not scored, and the other answers are kept
            if not self._reader_failed:
                self._reader_failed = True
                logger.error("%s; what it fails for is logged as an error and not scored", error)
            return Reading(None, Status.ERROR)

    # --- what a result must say -------------------------------------------------------------------

    def provenance(self) -> dict[str, Any]:
        """How a result came about, but for the settings."""
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
                **({"excluded": list(self.data.excluded)} if self.data.excluded else {}),
                "labelled": self.data.is_labelled,
                "demo": self.data.is_demo,
            },
            "reader_version": self.reader.version,
            "prompt_sha256": prompts_of(self.family, self.settings),
        }

"""What makes a run of an Advisor one of its team: the Advisor is asked as it would be alone, in a
run of its own; then the Guardians review each of that run's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm_eval_safescale.chat.session import BuildProgress
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.requests import ConditionRequests
from lm_eval_safescale.running.loaded import Loaded
from lm_eval_safescale.running.models import Guardian, Team
from lm_eval_safescale.running.progress import Report, RunProgress
from lm_eval_safescale.running.reviewing import ReviewEngine, Reviewer, role_of
from lm_eval_safescale.running.team_prompts import prompts_sha256
from lm_eval_safescale.runs.identity import model_identity
from lm_eval_safescale.runs.journal import ADVISOR, TEAM_STEPS
from lm_eval_safescale.runs.provenance import ENGINE, REVISION, TEAM
from lm_eval_safescale.secrets import without_secrets

OF_CHAT = ("chat_template", "temperature")
"""What a chat model says of itself that is told of a Guardian."""


class Reviewing:
    """What makes a run of an Advisor one of its team.

    Parameters
    ----------
    advise
        Makes the run of the Advisor alone.
    """

    def __init__(
        self,
        team: Team,
        folder: Path,
        loaded: Loaded,
        advise: Callable[[], Report],
        on_progress: Callable[[RunProgress], object],
    ) -> None:
        self.team, self._folder, self._loaded = team, folder, loaded
        self._advise, self._on_progress = advise, on_progress
        self._steps: StepLog | None = None
        self._engine: ReviewEngine | None = None
        self.damaged = 0
        """Lines of earlier starts that do not count, of the Advisor's answers and of the steps."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two teams the same, in the place of a model's identity."""
        advisor, *guardians = (
            model_identity(model.backend, without_secrets(model.args))
            for _, model in self.team.members
        )
        limits = [each.max_tokens for each in self.team.guardians]
        return {
            "backend": TEAM,
            "advisor": advisor,
            "guardians": [
                {**each, "max_tokens": limit} for each, limit in zip(guardians, limits, strict=True)
            ],
            "prompts_sha256": prompts_sha256(self.team.prompt),
        }

    def engine(
        self, asked: Sequence[ConditionRequests], standing: RunProgress, *, is_new: bool
    ) -> ReviewEngine:
        """What gives the team's answers, once the Advisor has given its own.

        Parameters
        ----------
        standing
            How far the team's run is.
        is_new
            Whether the team has no answer yet: steps of another one bind nobody then.
        """

        def tell(now: BuildProgress) -> None:
            amount = f"{now.asked:,} of {now.of:,} replies"
            self._on_progress(replace(standing, what="Guardians review", amount=amount))

        advised = self._advise()
        self._steps = StepLog(self._folder / TEAM_STEPS, self.identity, overwrite=is_new)
        self.damaged = advised.damaged + self._steps.damaged
        reviewers = [self._reviewer(each) for each in self.team.guardians]
        self._engine = ReviewEngine(
            self.team.prompt, reviewers, asked, advised.runs, advised.failures, self._steps, tell
        )
        return self._engine

    def _reviewer(self, guardian: Guardian) -> Reviewer:
        backend = self._loaded.backend(guardian.model)
        chat = self._loaded.chat(guardian.model)
        return Reviewer(
            chat, chat.opens_reasoning or backends.reasons(backend), guardian.max_tokens
        )

    def told(self) -> dict[str, Any]:
        """What is to be known of the team: what a Guardian is asked, and `ReviewEngine.told`."""
        assert self._engine is not None
        members = []
        for number, (_, model) in enumerate(self.team.members):
            backend = self._loaded.backend(model)
            chat = self._loaded.chat(model).about if number else {}
            members.append(
                {
                    "role": role_of(number) if number else ADVISOR,
                    "name": model.shown,
                    **{name: value for name, value in chat.items() if name in OF_CHAT},
                    REVISION: backends.revision_of(backend),
                    ENGINE: backends.engine_facts(backend, model.backend),
                }
            )
        return {"prompt": self.team.prompt, **self._engine.told(members)}

    def close(self) -> None:
        """Let others write the steps."""
        if self._steps is not None:
            self._steps.close()

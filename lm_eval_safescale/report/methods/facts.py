"""What the runs of a study recorded of how their answers came about, by model and condition. What
was not recorded is None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from lm_eval_safescale.families import Family
from lm_eval_safescale.prompts import Frame, Prompt
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.runs.finish import FRAME, OUR_RUNNER
from lm_eval_safescale.runs.provenance import (
    AT,
    CONDITIONS,
    CONTEXTS,
    ENDED_AT,
    ENGINE,
    PROMPT,
    PROVENANCE,
    REVISION,
    STARTS,
    SURROUNDINGS,
    settings_of,
)
from lm_eval_safescale.secrets import without_places

Pair = tuple[str, str]
"""A model and a condition."""
Value = TypeVar("Value", bound=Hashable)
NOT_RECORDED = "not recorded"
LONG = (FRAME,)
"""Settings that are told elsewhere."""
GIB = 1 << 30


@dataclass(frozen=True)
class Facts:
    """The facts of a study."""

    report: Report

    @functools.cached_property
    def pairs(self) -> Sequence[Pair]:
        """Every model under every condition that it was asked under, in the order of pages."""
        asked = self.report.study.scores
        return [
            (model, condition)
            for model in self.report.models
            for condition in self.report.conditions
            if (model, condition) in asked
        ]

    @property
    def models(self) -> Sequence[str]:
        """Those that are no controls; all where there are no others."""
        models = [each for each in self.report.models if each not in self.report.controls]
        return models or self.report.models

    @property
    def family(self) -> Family:
        """Whose items they are."""
        return self.report.family

    def settings(self, pair: Pair) -> Mapping[str, Any]:
        """Those that are recorded, without places and secrets."""
        return self._settings[pair]

    @functools.cached_property
    def _settings(self) -> Mapping[Pair, Mapping[str, Any]]:
        runs = self.report.study.runs
        return {
            pair: {
                name: value if name == FRAME else without_places(value)
                for name, value in settings_of(runs, *pair).items()
            }
            for pair in self.pairs
        }

    def known(self, model: str) -> Mapping[str, Any]:
        """What is recorded of a model."""
        known: Mapping[str, Any] = self.report.about["models"].get(model, {})
        return known

    def starts(self, model: str) -> Sequence[Mapping[str, Any]]:
        """Each start of its runs; none where that was not recorded."""
        starts: Sequence[Mapping[str, Any]] = self.known(model).get(PROVENANCE, {}).get(STARTS, ())
        return starts

    def of_condition(self, pair: Pair, name: str) -> Any:
        """What is recorded of a model under a condition besides settings: `prompt`, `contexts`,
        `revision`."""
        model, condition = pair
        told = self.known(model).get(PROVENANCE, {}).get(CONDITIONS, {})
        return told.get(condition, {}).get(name)

    def is_ours(self, model: str) -> bool:
        """Whether our own runner asked it."""
        return self.known(model).get("source") == OUR_RUNNER

    def is_whole(self, model: str, name: str) -> bool:
        """Whether each of its starts recorded that: runs of before it was recorded may go on, and
        be merged with others."""
        return all(start.get(name) for start in self.starts(model))

    def argument(self, pair: Pair, *names: str) -> Any:
        """The first of these arguments of the model that was given."""
        args = self.settings(pair).get("model_args")
        if isinstance(args, str):
            args = dict(part.partition("=")[::2] for part in args.split(","))
        given = args if isinstance(args, Mapping) else {}
        return next((given[name] for name in names if given.get(name)), None)

    def prompt(self, pair: Pair) -> Prompt | None:
        """The texts of both turns: as recorded, or the family's own where its hash is the recorded
        one."""
        told = self.of_condition(pair, PROMPT)
        if isinstance(told, Mapping):
            return Prompt(str(told.get("system", "")), str(told.get("user", "")))
        own = self.family.prompt(pair[1])
        return own if own.fingerprint == self.settings(pair).get("prompt_sha256") else None

    def frame(self, pair: Pair) -> Frame | None:
        """What stood around the user turn, as the model got it."""
        told = self.settings(pair).get(FRAME)
        return Frame(**told) if isinstance(told, Mapping) else None

    def contexts(self, pair: Pair) -> Mapping[str, Any] | None:
        """How what stood above the questions was made; None where nothing did, or it was not
        recorded."""
        told = self.of_condition(pair, CONTEXTS)
        return told if isinstance(told, Mapping) else None

    def shows_nothing(self, pair: Pair) -> bool:
        """Whether nothing stood above the questions, by the condition's definition."""
        return any(each.name == pair[1] and each.builder is None for each in self.family.conditions)

    # --- in words ---------------------------------------------------------------------------------

    def version(self, model: str) -> str | None:
        """What tells the very weights: the commit on the hub, or a fingerprint of the files."""
        pair = self._first(model)
        if commit := self.of_condition(pair, REVISION):
            return f"commit {commit} of {self.argument(pair, 'pretrained', 'model') or model}"
        if files := self.argument(pair, "files", "pretrained_files", "model_files"):
            return f"files with the SHA-256 {files}"
        return None

    def served(self, model: str) -> str | None:
        """What a server's replies called it."""
        names = {
            str(name)
            for pair in self.pairs
            if pair[0] == model
            for name in self.settings(pair).get("served_model") or ()
        }
        return " and ".join(sorted(names)) or None

    def backend(self, model: str) -> str | None:
        """By the harness's name."""
        found = self.settings(self._first(model)).get("backend")
        return str(found) if found else None

    def times(self, model: str) -> str | None:
        """From the first start to the last end."""
        starts = self.starts(model)
        begun = sorted(str(start[AT]) for start in starts if start.get(AT))
        ended = sorted(str(start[ENDED_AT]) for start in starts if start.get(ENDED_AT))
        if not begun:
            return None
        end = time_words(ended[-1]) if ended else "an end that was not recorded"
        return f"{time_words(begun[0])} to {end} (UTC)"

    def engine(self, model: str) -> str | None:
        """Package, version, type of numbers and quantisation of what computed the answers."""
        return joined(map(engine_words, self.starts(model)))

    def hardware(self, model: str) -> str | None:
        """Of the machines that it was asked on; for a model behind a server, of who asked."""
        return joined(map(hardware_words, self.starts(model)))

    def _first(self, model: str) -> Pair:
        return next(pair for pair in self.pairs if pair[0] == model)


def time_words(at: Any) -> str:
    """A recorded time (ISO 8601), in UTC."""
    try:
        return f"{datetime.fromisoformat(str(at)).astimezone(UTC):%Y-%m-%d %H:%M}"
    except ValueError:
        return shown(at)


def engine_words(start: Mapping[str, Any]) -> str | None:
    """What computed the answers of a start; None where it is not known."""
    engine = start.get(ENGINE) or {}
    if not engine.get("package"):
        return None
    quantised = engine.get("quantization")
    parts = [
        f"{engine['package']} {engine.get('version') or '(version not recorded)'}",
        engine.get("dtype"),
        "not quantised" if quantised == "none" else quantised and f"quantised: {quantised}",
        engine.get("device") and f"on {engine['device']}",
    ]
    return ", ".join(str(part) for part in parts if part)


def hardware_words(start: Mapping[str, Any]) -> str | None:
    """The machine of a start; None where it is not known."""
    known = (start.get(SURROUNDINGS) or {}).get("hardware") or {}
    gpus: dict[str, int] = {}
    for gpu in known.get("gpus") or ():
        memory = gpu.get("memory_bytes")
        name = f"{gpu.get('name')}{f' ({memory / GIB:.0f} GiB)' if memory else ''}"
        gpus[name] = gpus.get(name, 0) + 1
    parts = [
        *(f"{number} x {name}" for name, number in gpus.items()),
        known.get("gpu_driver") and f"driver {known['gpu_driver']}",
        "no GPU" if known.get("gpus") == [] else None,
        known.get("cpu"),
        known.get("cores") and f"{known['cores']} cores",
        known.get("memory_bytes") and f"{known['memory_bytes'] / GIB:.0f} GiB memory",
    ]
    return ", ".join(str(part) for part in parts if part) or None


def system_words(start: Mapping[str, Any]) -> str | None:
    """Operating system and Python of a start; None where they are not known."""
    known = start.get(SURROUNDINGS) or {}
    system = known.get("system") or {}
    names = (system.get("distribution") or system.get("name"), system.get("machine"))
    return ", ".join(str(part) for part in (*names, known.get("python")) if part) or None


def packages_words(start: Mapping[str, Any]) -> str | None:
    """Versions of the packages that were installed; None where they are not known."""
    known = (start.get(SURROUNDINGS) or {}).get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in known.items() if version) or None


def joined(values: Iterable[str | None]) -> str | None:
    """Those that differ, in order; None without any."""
    return "; ".join(dict.fromkeys(value for value in values if value)) or None


def shown(value: Any, digits: int = 6) -> str:
    """A recorded value as a text."""
    if value is None:
        return NOT_RECORDED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, Mapping):
        known = {name: each for name, each in value.items() if each is not None}
        return "; ".join(f"{name}: {shown(each, digits)}" for name, each in known.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(shown(each, digits) for each in value) or "none"
    return str(value)


def by_value(
    pairs: Sequence[Pair], value_of: Callable[[Pair], Value], words: Callable[[str], str]
) -> list[tuple[Value, str]]:
    """Each value with whose it is, "all" where they are all alike; `words`: of a condition."""
    found: dict[Value, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(value_of(pair), []).append(pair)
    return [(value, _whose(own, pairs, words)) for value, own in found.items()]


def _whose(own: Sequence[Pair], every: Sequence[Pair], words: Callable[[str], str]) -> str:
    if len(own) == len(every):
        return "all"
    models = dict.fromkeys(model for model, _ in own)
    conditions = dict.fromkeys(condition for _, condition in own)
    if len(own) == sum(model in models for model, _ in every):
        return ", ".join(models)
    if len(own) == sum(condition in conditions for _, condition in every):
        return ", ".join(map(words, conditions))
    return "; ".join(
        f"{model} ({', '.join(words(name) for each, name in own if each == model)})"
        for model in models
    )

"""In what two sides of a comparison differ, as their runs say: a difference of figures is one of
these things only where it is the only one. It compares no figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.analysis.study import reader_of
from lm_eval_safescale.gate.sides import Side
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.runs.finish import READER_VERSION
from lm_eval_safescale.runs.identity import HOW_FAST
from lm_eval_safescale.runs.provenance import CASE_ORDER, JUDGED_MODEL, READING
from lm_eval_safescale.runs.store import contexts_of
from lm_eval_safescale.settings import ANSWER_TOKENS, LATER, MAKE_SCORES, REASONING_TOKENS
from lm_eval_safescale.words import counted

MODEL, CONDITION, CONTEXT, PROMPT, DRAWS = "model", "condition", "context", "prompt", "K"
READING_OF = "reading of answers"
DRAWS_SETTING, SAMPLING, LIMIT = "draws", "temperature", "max_answer_tokens"
OF_MODEL = ("backend", "model_args", "served_model")
OF_READING = ("reader", READER_VERSION, READING)
OF_JUDGED = (JUDGED_MODEL, CASE_ORDER)
"""Whose answers were judged, which is the model, and the order of a file, which moves no figure."""
OF_TEMPLATE = ("chat_template", "chat_template_sha", "prompt_frame", "reasoning_opened")
"""A model has its own chat template: of two models they belong to the model, of one to the
prompt."""
THINGS: Mapping[str, str] = {
    "prompt_sha256": PROMPT,
    **dict.fromkeys(OF_TEMPLATE, PROMPT),
    # one for all answers is the temperature of the samples, too
    "accept_temperature": SAMPLING,
    LIMIT: "limit of tokens",
}
"""By setting, what differs where it does; others are called as they are."""
NOTED = {"seed": "seed", "version": "version of lm_eval_safescale"}
"""Settings whose difference is said, and is none of what is compared: of a change that matters the
prompt or the reader's version tells."""
LONGEST = 40
"""Characters of a value that are shown."""
BY_MODEL = {ANSWER_TOKENS, REASONING_TOKENS}
"""Limits of tokens that follow from whether a model reasons, where none is set."""


@dataclass(frozen=True, slots=True)
class Differing:
    """In what A and B differ."""

    things: Mapping[str, str]
    """By thing: how, A / B."""
    noted: Mapping[str, str]
    """The same of what does not count."""

    @property
    def refused(self) -> str:
        """Why a difference of figures would say nothing; empty where it would."""
        if DRAWS in self.things:
            return (
                f"K differs ({self.things[DRAWS]}): confidence and majority answers compare at "
                "equal K only"
            )
        if len(self.things) > 1:
            return (
                f"A and B differ in {len(self.things)} things, and a difference may come from any: "
                f"{self.said}; compare two that differ in one"
            )
        return ""

    @property
    def said(self) -> str:
        """The things in one line."""
        return "; ".join(f"{thing} ({how})" for thing, how in self.things.items())


def differing(a: Side, b: Side) -> Differing:
    """In what two sides differ. What one of them does not say differs in nothing; of a person
    nothing is said but who it is."""
    things: dict[str, str] = {}
    if how := _models(a, b):
        things[MODEL] = how
    if a.is_human or b.is_human:
        return Differing(things, {})
    same_condition = a.condition == b.condition
    if not same_condition:
        things[CONDITION] = f"{a.condition} / {b.condition}"
    elif (how := _contexts(a, b)) and not (MODEL in things and _is_by_model(a.condition)):
        things[CONTEXT] = how
    if a.draws and b.draws and a.draws != b.draws:
        things[DRAWS] = f"{a.draws} / {b.draws}"
    if how := _readings(a, b):
        things[READING_OF] = how
    for name, one, other in _settings(a, b):
        by_model = name in OF_TEMPLATE or (name == LIMIT and {one, other} == BY_MODEL)
        if not (MODEL in things and by_model):
            things.setdefault(THINGS.get(name, name.replace("_", " ")), _shown(one, other))
    noted = {
        said: f"{a.settings[name]} / {b.settings[name]}"
        for name, said in NOTED.items()
        if {name} <= a.settings.keys() & b.settings.keys() and a.settings[name] != b.settings[name]
    }
    return Differing(things, noted)


def _models(a: Side, b: Side) -> str:
    """How the models differ: by what was asked, where that is known, else by name."""
    names = [side.settings.get(JUDGED_MODEL) or side.model for side in (a, b)]
    by_name = "" if names[0] == names[1] else " / ".join(names)
    if a.is_human or b.is_human:
        return by_name
    one, other = (_asked(side.settings) for side in (a, b))
    if not one or not other:
        return by_name
    if ("served as" in one) != ("served as" in other):
        one.pop("served as", None)
        other.pop("served as", None)
    differ = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    if differ and by_name:
        return by_name
    return "; ".join(f"{name} {_shown(one.get(name), other.get(name))}" for name in differ)


def _asked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The backend, its arguments that make an answer, and who replied; empty where it is not
    known."""
    args = settings.get("model_args")
    if isinstance(args, str):
        args = dict(part.partition("=")[::2] for part in args.split(","))
    if not isinstance(args, Mapping):
        return {}
    served = settings.get("served_model")
    return {
        **{name: str(value) for name, value in args.items() if name not in HOW_FAST},
        "backend": settings.get("backend"),
        **({"served as": " and ".join(map(str, served))} if isinstance(served, list) else {}),
    }


def _contexts(a: Side, b: Side) -> str:
    """Of how many items another text stood above the question; empty for none, and where it is not
    known."""
    one, other = (contexts_of(side.folder, *side.pair) for side in (a, b))
    both = [
        name
        for name in one.keys() & other.keys()
        if one[name] is not None and other[name] is not None
    ]
    differ = sum(one[name] != other[name] for name in both)
    what = "the retriever, the corpus, or a setting of theirs"
    return f"of {differ:,} of {counted(len(both), 'item')}: {what}" if differ else ""


def _is_by_model(condition: str) -> bool:
    """Whether what is shown under a condition is made for, or by, the model that is asked."""
    builders = {part.name: part.thing for part in plugins().all("context builder")}
    return any(
        builder.needs_model or builder.needs_chat
        for part in plugins().all("condition")
        if part.name == condition and (builder := builders.get(part.thing.builder)) is not None
    )


def _readings(a: Side, b: Side) -> str:
    """How the reading of the answers differs: who read them, by what rules or instructions."""
    one, other = (_read(side.settings) for side in (a, b))
    differ = [
        name
        for name in one.keys() & other.keys()
        if None not in (one[name], other[name]) and one[name] != other[name]
    ]
    if not differ and one["by"] == other["by"]:
        return ""
    version = f", reader {_shown(one.get(READER_VERSION), other.get(READER_VERSION))}"
    return _shown(one["by"], other["by"]) + version * (READER_VERSION in differ)


def _read(settings: Mapping[str, Any]) -> dict[str, Any]:
    again = settings.get(READING) or {}
    own = {name: settings.get(name) for name in ("reader", READER_VERSION)}
    as_run = own | {"reasoning": "as run"} if again.get("by") != "judge" else {}
    told = {name: value for name, value in again.items() if name != "version"}
    return {**as_run, **told, "by": reader_of(settings)}


def _settings(a: Side, b: Side) -> Iterator[tuple[str, Any, Any]]:
    """Settings of answers that differ, with both values."""
    apart = {DRAWS_SETTING, *OF_MODEL, *OF_READING, *OF_JUDGED, *NOTED, *MAKE_SCORES}
    if not a.draws or not b.draws:
        apart.add(SAMPLING)
    if a.condition != b.condition:
        apart.add("prompt_frame")
        apart |= {name for each in a.runs.family.conditions for name in each.defaults}
    for name in {**a.settings, **b.settings}:
        one, other = (side.settings.get(name, LATER.get(name)) for side in (a, b))
        known = None not in (one, other) or name in LATER
        if name not in apart and known and one != other:
            yield name, one, other


def _shown(one: Any, other: Any) -> str:
    texts = [f"{value:.12}" if _is_hash(value) else _in_words(value) for value in (one, other)]
    return " / ".join(texts)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64


def _in_words(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."

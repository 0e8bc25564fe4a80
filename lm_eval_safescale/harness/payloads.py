"""What a backend of the harness would send, compared with what was asked, before anything is sent.
It sends nothing itself.

The harness's backends change some requests without a word: one that takes a model for another sends
another temperature, one leaves stop sequences out. Results would then say what was asked, and not
what was in force.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends
from lm_eval_safescale.secrets import masked
from lm_eval_safescale.settings import Settings

LIMITS = ("max_tokens", "max_completion_tokens", "max_new_tokens")
"""What servers call the token limit of an answer."""
STOPS = ("stop", "stop_sequences")
NESTED = "sampling_params"
"""Where SGLang's own address expects them."""
COMPARED = frozenset({"do_sample", "until", "max_gen_toks", "temperature", "seed"})
"""Generation arguments of the harness that have a rule of their own below; any other must leave
under its own name."""
WHATEVER_IS_ASKED = {
    "GGUFLM": {"temperature": 0, "max_tokens": None},
    "TextSynthLM": {"top_k": 1, "max_tokens": 256, "temperature": None},
}
"""Backends that make no payload which could be looked at, and what they send whatever is asked for
(None: nothing)."""
NOTHING = "nothing"


class Difference(NamedTuple):
    """A parameter that would be sent otherwise than it was asked for."""

    parameter: str
    asked: Any
    sent: Any

    def __str__(self) -> str:
        return (
            f"{self.parameter}: {_shown(self.asked)} asked for, {_shown(self.sent)} would be sent"
        )


def payload_of(
    backend: Any, prompt: Any, generation: Mapping[str, Any], seed: int | None = None
) -> dict[str, Any]:
    """What the backend would send for one request.

    Parameters
    ----------
    prompt
        As the backend's chat template gives it, or a text.
    generation
        The harness's generation arguments.
    seed
        None for the backend's own, which greedy requests have.

    Raises
    ------
    SafescaleError
        If the backend cannot ask so.
    """
    message = (
        backend.tok_encode(prompt)
        if isinstance(prompt, str) and backend.tokenized_requests
        else prompt
    )
    try:
        made: dict[str, Any] = backend._create_payload(
            backend.create_message([message]),
            generate=True,
            gen_kwargs={
                name: list(value) if isinstance(value, list) else value
                for name, value in generation.items()
            },
            seed=backend._seed if seed is None else seed,
        )
    except AssertionError as error:
        raise SafescaleError(
            f"the backend cannot ask so: {reason_of(error)}; chat completions need the chat "
            "template, and its absence completions"
        ) from error
    return made


def seed_in(payload: Mapping[str, Any]) -> int | None:
    """The seed that is sent; None for none."""
    seed = _flat(payload).get("seed")
    return None if seed is None else int(seed)


def prepare(backend: Any | None, settings: Settings, *, sees_replies: bool) -> list[str]:
    """Have a backend send what the settings ask for, and say what the user must know of it.

    Parameters
    ----------
    backend
        The harness's model object; None where it cannot be reached.
    sees_replies
        Whether the replies are seen as the server gave them, and not as texts alone.

    Raises
    ------
    SafescaleError
        For settings that this backend cannot follow.
    """
    of_servers = {
        "accept_temperature": settings.accept_temperature is not None,
        "send_seed": not settings.send_seed,
    }
    given = [name for name, is_given in of_servers.items() if is_given]
    if given and backend is not None and not backends.is_server(backend):
        raise SafescaleError(
            f"{given[0]} is for models behind a server that allows nothing else; "
            f"{type(backend).__name__} takes any temperature and any seed: leave it out"
        )
    if not settings.send_seed:
        if backend is None:
            raise SafescaleError(
                "send_seed: without --apply_chat_template a task cannot reach the model, and "
                "lm_eval sends a seed with every request; safescale run can leave it out"
            )
        leave_out_seed(backend)
    warnings = []
    if settings.served_model and not sees_replies:
        warnings.append(
            "served_model is not looked at: lm_eval does not show which model replied; safescale "
            "run does"
        )
    if backend is not None and "LiteLLMChatCompletion" in backends.classes(type(backend)):
        warnings.append(
            "litellm leaves out, without a word, what a provider does not take (a temperature, a "
            "seed), so that results may say otherwise than what was sent; --model "
            "local-chat-completions asks an OpenAI-compatible address as it is told"
        )
    return warnings


def leave_out_seed(backend: Any) -> None:
    """Have a backend send no seed at all: its own would stand in every payload, and a server may
    refuse the very name."""
    make = backend._create_payload
    if getattr(make, "leaves_out_seed", False):
        return

    @functools.wraps(make)
    def without_seed(*args: Any, **kwargs: Any) -> dict[str, Any]:
        made = dict(make(*args, **kwargs))
        made.pop("seed", None)
        return made

    without_seed.leaves_out_seed = True  # type: ignore[attr-defined]
    backend._create_payload = without_seed


def check(
    backend: Any,
    requests: Iterable[tuple[Any, Mapping[str, Any]]],
    *,
    stop: str,
    send_seed: bool = True,
) -> None:
    """Compare what would leave with what was asked, for some requests that stand for all.

    Parameters
    ----------
    backend
        The harness's model object. One that computes on this machine sends nothing, and passes.
    requests
        Prompts, each with the harness's generation arguments.
    stop
        A stop sequence that no answer holds: it may be left out.
    send_seed
        Whether the backend is to send a seed.

    Raises
    ------
    SafescaleError
        Naming each parameter that differs, what was asked, what would be sent, and the way on.
    """
    kinds = backends.classes(type(backend))
    found: dict[Difference, None] = {}
    for prompt, generation in requests:
        if fixed := next((sent for kind, sent in WHATEVER_IS_ASKED.items() if kind in kinds), None):
            found |= dict.fromkeys(_of_fixed(fixed, generation))
        elif backends.is_server(backend):
            try:
                payload = payload_of(backend, prompt, generation)
            except SafescaleError:
                return  # it is said when it is asked
            found |= dict.fromkeys(
                _differences(backend, generation, payload, stop=stop, asks_seed=send_seed)
            )
    if found:
        raise SafescaleError(_refusal(backend, list(found)))


def _differences(
    backend: Any,
    generation: Mapping[str, Any],
    payload: Mapping[str, Any],
    *,
    stop: str,
    asks_seed: bool,
) -> Iterator[Difference]:
    sent = _flat(payload)
    yield from _unlike("temperature", float(generation["temperature"]), sent.get("temperature"))
    limits = {name: sent[name] for name in LIMITS if sent.get(name) is not None} or {
        LIMITS[0]: None
    }
    for name, limit in limits.items():
        yield from _unlike(name, generation["max_gen_toks"], limit)
    yield from _unlike(
        "seed", generation.get("seed", backend._seed) if asks_seed else None, sent.get("seed")
    )
    yield from _unlike("n", 1, sent.get("n", 1))
    asked_stops = list(generation["until"])
    sent_stops = _stops(sent)
    if {*asked_stops} - {stop} - {*sent_stops} or _adds(backend, {*sent_stops} - {*asked_stops}):
        yield Difference("stop", tuple(asked_stops), tuple(sent_stops))
    for name, value in generation.items():
        if name not in COMPARED:
            yield from _unlike(name, value, sent.get(name))


def _of_fixed(sent: Mapping[str, Any], generation: Mapping[str, Any]) -> Iterator[Difference]:
    yield from _unlike("temperature", float(generation["temperature"]), sent["temperature"])
    yield from _unlike("max_tokens", generation["max_gen_toks"], sent["max_tokens"])


def _unlike(parameter: str, asked: Any, sent: Any) -> Iterator[Difference]:
    if asked != sent:
        yield Difference(parameter, _hashable(asked), _hashable(sent))


def _adds(backend: Any, added: set[str]) -> bool:
    """Whether stop sequences are sent that were not asked for, beside the end-of-text marks that
    every backend adds."""
    parameter = inspect.signature(backend._create_payload).parameters.get("eos")
    own = {parameter.default} if parameter is not None else set()
    return bool(added - own) and bool(added - own - {backend.eos_string})


def _stops(sent: Mapping[str, Any]) -> list[str]:
    found: Any = next((sent[name] for name in STOPS if sent.get(name) is not None), [])
    return [found] if isinstance(found, str) else list(found)


def _flat(payload: Mapping[str, Any]) -> dict[str, Any]:
    nested = payload.get(NESTED)
    return {**payload, **nested} if isinstance(nested, Mapping) else dict(payload)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


def _shown(value: Any) -> str:
    if value is None or value == ():
        return NOTHING
    return (
        f"{value:g}"
        if isinstance(value, float)
        else repr(value)
        if isinstance(value, tuple)
        else str(value)
    )


# --- the way on -----------------------------------------------------------------------------------


def _refusal(backend: Any, found: list[Difference]) -> str:
    name = type(backend).__name__
    model = getattr(backend, "model", None) or getattr(backend, "engine", None) or "?"
    ways = dict.fromkeys(_way_on(backend, each) for each in found)
    return "\n  ".join(
        [
            (
                f"lm_eval's {name} would send {model} something else than was asked for, and the "
                "results would not say so; nothing was sent:"
            ),
            *map(str, found),
            *(f"-> {way}" for way in ways),
        ]
    )


def _way_on(backend: Any, found: Difference) -> str:
    kinds = backends.classes(type(backend))
    if kinds & set(WHATEVER_IS_ASKED):
        return (
            "this backend sends that whatever is asked; ask an OpenAI-compatible address, with "
            "--model local-completions"
        )
    if found.parameter == "temperature" and "OpenAIChatCompletion" in kinds:
        return (
            "it takes every model whose name holds o1, o3, "
            "o4 or 5 for one that allows no other temperature. Where the name misled it: --model "
            "local-chat-completions --model_args "
            f"model={backend.model},base_url={masked(backend.base_url)}. Where the model does "
            f"allow no other: --metadata '{{\"accept_temperature\": {_shown(found.sent)}}}'; "
            "greedy answers are then samples too, and every table says so"
        )
    if found.parameter == "temperature":
        return (
            'where the model allows no other temperature: --metadata \'{"accept_temperature": '
            "...}'; else another backend"
        )
    if found.parameter == "seed":
        return (
            "--metadata '{\"send_seed\": false}' sends none, "
            "and the results say that draws cannot be repeated; else another backend"
        )
    if found.parameter == "stop":
        return (
            "leave until out of --gen_kwargs, or give as many sequences as the server takes (four, "
            "as a rule)"
        )
    return (
        f"leave {found.parameter} out, or ask the server through another backend "
        "(local-chat-completions, local-completions)"
    )

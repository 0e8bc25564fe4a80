"""Plugins: finds what installed packages register, keeps what is broken from what is not, and looks
parts up by name.

Our own parts come in by the same way. Nothing here knows what a part does.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pluggy

from lm_eval_safescale import __version__, hookspecs
from lm_eval_safescale.contexts import Condition, ContextBuilder
from lm_eval_safescale.datasets import Source
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.families import Family
from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.isolation import NotAnExceptionError, isolated
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.retrieval import Retriever
from lm_eval_safescale.sections import ReportSection

OURS = "lm-eval-safescale"
VARIABLE, OFF = "SAFESCALE_PLUGINS", "off"
"""The variable that says which installed packages are loaded."""
BUILT_IN = ("lm_eval_safescale.builtins", "lm_eval_safescale.report.sections")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of part: what it is called, its hook, its type, and whether it is a class rather than
    an object."""

    name: str
    hook: str
    type: type
    is_class: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("data set", "safescale_register_datasets", Source),
        Kind("retriever", "safescale_register_retrievers", Retriever, is_class=True),
        Kind("context builder", "safescale_register_context_builders", ContextBuilder),
        Kind("family", "safescale_register_families", Family),
        Kind("condition", "safescale_register_conditions", Condition),
        Kind("metric", "safescale_register_metrics", Metric),
        Kind("answer reader", "safescale_register_answer_readers", AnswerReader),
        Kind("report section", "safescale_register_report_sections", ReportSection),
    )
}


@dataclass(frozen=True, slots=True)
class Part:
    """Something registered, and who provides it."""

    kind: str
    name: str
    thing: Any
    package: str
    version: str

    @property
    def full_name(self) -> str:
        """By which it is reached even where another package has a part of the same name."""
        return f"{self.package}/{self.name}"

    @property
    def provided_by(self) -> str:
        """Package and version, for messages."""
        return f"{self.package} {self.version}"

    @property
    def is_ours(self) -> bool:
        """Whether this package provides it."""
        return self.package == OURS


@dataclass(slots=True)
class Plugin:
    """A module that was found, with what it registers or the error it failed with."""

    package: str
    version: str
    module: str
    load: Callable[[], object]
    parts: list[Part] = field(default_factory=list)
    error: str | None = None
    left_out: bool = False
    """By the user's wish: it is not loaded."""

    def fail(self, error: BaseException) -> None:
        """It counts for nothing from here on."""
        if isinstance(error, NotAnExceptionError) and error.__cause__ is not None:
            error = error.__cause__
        self.parts, self.error = [], f"{type(error).__name__}: {reason_of(error)}"


class Plugins:
    """All plugins, and the parts of those that work."""

    def __init__(self, found: Iterable[Plugin]) -> None:
        self.found = list(found)
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        for plugin in (each for each in self.found if not each.left_out):
            _load(
                manager,
                plugin,
                [
                    part
                    for other in self.found
                    if other.package == plugin.package
                    for part in other.parts
                ],
            )

    def all(self, kind: str) -> list[Part]:
        """Every part of a kind; ours first, then by package and in the order in which they were
        registered."""
        return [part for plugin in self.found for part in plugin.parts if part.kind == kind]

    def names(self, kind: str) -> list[str]:
        """What to ask for: short names where they are clear, else `package/name`."""
        parts = self.all(kind)
        short = [part.name.casefold() for part in parts]
        return [
            part.name if short.count(part.name.casefold()) == 1 else part.full_name
            for part in parts
        ]

    def find(self, kind: str, name: str, *, near: str | None = None) -> Part:
        """The part of that name, or of that `package/name`.

        Parameters
        ----------
        near
            The package on whose behalf it is looked up rather than by a user's wish: its own part
            goes before others of the name.

        Raises
        ------
        SafescaleError
            If there is none, or if several packages have one of that short name.
        """
        wanted = [part for part in self.all(kind) if _matches(part, name)]
        wanted = [part for part in wanted if part.package == near] or wanted
        if len(wanted) == 1:
            return wanted[0]
        if wanted:
            full = " or ".join(part.full_name for part in wanted)
            raise SafescaleError(
                f"{kind} {name!r}: {len(wanted)} packages have one of this name; say which: {full}"
            )
        absent = "".join(
            f"\n  {each.package} {each.version}, which {why}"
            for each in self.found
            if (why := _why_absent(each))
        )
        hint = (
            f"; or it belongs to a plugin that is not working (safescale plugins):{absent}"
            if absent
            else ""
        )
        raise SafescaleError(
            f"there is no {kind} {name!r}; known: {', '.join(self.names(kind))}{hint}"
        )


def version_of(distribution: str) -> str | None:
    """The version of an installed package, without importing it; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def plugins() -> Plugins:
    """The plugins of this installation, loaded once; SafescaleError if the variable asks for one
    that is not installed."""
    return Plugins([*_built_in(), *chosen(installed(), os.environ.get(VARIABLE, ""))])


def chosen(found: Iterable[Plugin], wanted: str) -> list[Plugin]:
    """The plugins, those left out that are not wanted.

    Parameters
    ----------
    wanted
        `off` for none, names of packages with commas between, or "" for all.

    Raises
    ------
    SafescaleError
        If one is named that is not installed.
    """
    found = list(found)
    names = {_normal(name.strip()) for name in wanted.split(",") if name.strip()}
    if not names:
        return found
    if unknown := sorted(names - {plugin.package for plugin in found} - {OFF}) or (
        names > {OFF} and [OFF]
    ):
        known = ", ".join(sorted({plugin.package for plugin in found})) or "none"
        raise SafescaleError(
            f"{VARIABLE} = {wanted!r}: no plugin {', '.join(unknown)} is installed; expected "
            f"{OFF}, or names of packages with commas between (installed: {known})"
        )
    return [replace(plugin, left_out=plugin.package not in names) for plugin in found]


def installed() -> Iterator[Plugin]:
    """What installed packages name as entry points of our group, by package and name."""
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (_package(point), point.name)):
        version = (point.dist and point.dist.version) or "?"
        yield Plugin(_package(point), version, point.value, point.load)


def _why_absent(plugin: Plugin) -> str:
    return (
        f"{VARIABLE} leaves out"
        if plugin.left_out
        else f"failed to load: {plugin.error}"
        if plugin.error
        else ""
    )


def _built_in() -> Iterator[Plugin]:
    for module in BUILT_IN:
        yield Plugin(OURS, __version__, module, functools.partial(importlib.import_module, module))


def _package(point: importlib.metadata.EntryPoint) -> str:
    return _normal((point.dist and point.dist.name) or "?")  # a damaged installation has no name


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _matches(part: Part, name: str) -> bool:
    package, slash, short = name.rpartition("/")
    return part.name.casefold() == short.casefold() and (
        not slash or _normal(package) == part.package
    )


def _load(manager: pluggy.PluginManager, plugin: Plugin, taken: Iterable[Part]) -> None:
    """Import it and take what it registers: all of it, or nothing and the error. `taken` are parts
    of the same package."""
    module: object = None
    try:
        with isolated(
            f"plugin {plugin.package} {plugin.version}",
            f"; {VARIABLE}={OFF} starts without plugins",
        ):
            module = plugin.load()
            manager.register(module, f"{plugin.package}:{plugin.module}")
            manager.check_pending()
            others = [other for other in manager.get_plugins() if other is not module]
            for kind in KINDS.values():
                manager.subset_hook_caller(kind.hook, others)(
                    register=functools.partial(_register, plugin, taken, kind)
                )
    except Exception as error:  # a plugin's failure, whatever it is, is its own
        plugin.fail(error)
        if module is not None and manager.is_registered(module):
            manager.unregister(module)


def _register(plugin: Plugin, taken: Iterable[Part], kind: Kind, thing: Any) -> None:
    name = name_of(kind, thing)
    if any(
        part.kind == kind.name and part.name.casefold() == name.casefold()
        for part in (*taken, *plugin.parts)
    ):
        raise ValueError(f"{kind.hook}: {name!r} is registered twice")
    plugin.parts.append(Part(kind.name, name, thing, plugin.package, plugin.version))
    if isinstance(thing, Family):
        for condition in thing.conditions:
            _register(plugin, taken, KINDS["condition"], replace(condition, family=name))


def name_of(kind: Kind, thing: Any) -> str:
    """The name under which a thing can be registered as a part of that kind; TypeError or
    ValueError if it cannot."""
    fits = (
        inspect.isclass(thing) and issubclass(thing, kind.type)
        if kind.is_class
        else isinstance(thing, kind.type)
    )
    expected = f"a subclass of {kind.type.__name__}" if kind.is_class else f"a {kind.type.__name__}"
    if not fits:
        raise TypeError(f"{kind.hook}: expected {expected}, found {thing!r}")
    name = getattr(thing, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[^\s/,]+", name):
        raise ValueError(
            f"{kind.hook}: the name {name!r} cannot be used; expected text without spaces, commas "
            "and slashes"
        )
    if inspect.isclass(thing) and inspect.isabstract(thing):
        raise TypeError(
            f"{kind.hook}: {name!r} lacks "
            f"{', '.join(sorted(getattr(thing, '__abstractmethods__', ())))}"
        )
    return name


def bind_settings(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    who: str,
    *,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings of a part: `given`, then what is `known` under the same name, then the defaults
    of the rest.

    Settings are the keyword-only parameters of a function (of its `settings_of`, where it names
    another), and all parameters of a class.

    Raises
    ------
    SafescaleError
        For a name that is no setting of it, or a setting without a value.
    """
    kinds: list[Any] = [inspect.Parameter.KEYWORD_ONLY]
    if inspect.isclass(function):
        kinds.append(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = parameters_of(getattr(function, "settings_of", function), who)
    return bind_parameters(
        {name: each for name, each in takes.items() if each.kind in kinds}, given, who, known=known
    )


def bind_parameters(
    parameters: Mapping[str, inspect.Parameter],
    given: Mapping[str, Any],
    who: str,
    *,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`bind_settings` of the parameters that are settings."""
    takes = ", ".join(parameters) or "none"
    if unknown := [name for name in given if name not in parameters]:
        raise SafescaleError(f"{who} has no setting {', '.join(unknown)}; it takes {takes}")
    defaults = {
        name: each.default
        for name, each in parameters.items()
        if each.default is not inspect.Parameter.empty
    }
    bound = {
        **defaults,
        **{name: value for name, value in (known or {}).items() if name in parameters},
        **given,
    }
    if missing := [name for name in parameters if name not in bound]:
        raise SafescaleError(f"{who} needs a value for {', '.join(missing)}; it takes {takes}")
    return {name: bound[name] for name in parameters}


def parameters_of(function: Any, who: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of what a part is made of; SafescaleError if it is nothing that can be
    called."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise SafescaleError(
            f"{who}: expected a function, found {function!r} ({reason_of(error)})"
        ) from None

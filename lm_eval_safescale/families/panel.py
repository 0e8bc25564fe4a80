"""The model panel: family and size of known models, the published ensembles and means. It knows no
answers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, read_yaml

PARAMETERS = ("total", "active")
_MODEL_FIELDS = {"name", "family", "parameters_b", "parameters", "aliases"}
_ENSEMBLE_FIELDS = {"name", "members"}
_FIELDS = {"source", "models", "ensembles", "published_means"}


@dataclass(frozen=True, slots=True)
class PanelModel:
    """What the panel knows of a model."""

    name: str
    family: str | None = None
    parameters_b: float | None = None
    """Billions of parameters."""
    parameters: str = "total"
    """Which are counted: total, or those active for a token."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Models that vote together."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """Known models, ensembles, and the published means by condition and metric (rates as fractions;
    None: not published)."""

    models: tuple[PanelModel, ...] = ()
    ensembles: tuple[Ensemble, ...] = ()
    published_means: Mapping[str, Mapping[str, float | None]] | None = None

    def find(self, model: str) -> PanelModel | None:
        """The entry of a model, None if there is none: it is not guessed from a similar name."""
        return self._by_name.get(canonical(model))

    @functools.cached_property
    def _by_name(self) -> dict[str, PanelModel]:
        return {name: model for model in reversed(self.models) for name in _names(model)}

    def unknown(self, models: Iterable[str]) -> tuple[str, ...]:
        """The models that have no entry, or an entry without family or size: they stand in no
        scaling line."""
        found = [(model, self.find(model)) for model in models]
        return tuple(
            model
            for model, entry in found
            if entry is None or entry.family is None or entry.parameters_b is None
        )

    def sized(self, sizes: Mapping[str, float]) -> Panel:
        """This panel with the sizes of models that it does not know one of, in billions of
        parameters."""
        unsized = {
            model: size
            for model, size in sizes.items()
            if (entry := self.find(model)) is None or entry.parameters_b is None
        }
        entries = [
            replace(self.find(model) or PanelModel(model), parameters_b=size)
            for model, size in unsized.items()
        ]
        return self.extended(Panel(tuple(entries))) if entries else self

    def choose(self, member: str, models: Sequence[str]) -> tuple[str, ...]:
        """Which of `models` an ensemble's member means: the one spelt alike, else all that have the
        same name or entry."""
        if member in models:
            return (member,)
        entry = self.find(member)
        wanted = {canonical(member)} if entry is None else _names(entry)
        return tuple(model for model in models if canonical(model) in wanted)

    def extended(self, other: Panel) -> Panel:
        """This panel with the entries of another, which replace those of the same name."""
        means = {name: dict(values) for name, values in (self.published_means or {}).items()}
        for name, values in (other.published_means or {}).items():
            means.setdefault(name, {}).update(values)
        models = {canonical(model.name): model for model in (*self.models, *other.models)}
        ensembles = {ensemble.name: ensemble for ensemble in (*self.ensembles, *other.ensembles)}
        return Panel(tuple(models.values()), tuple(ensembles.values()), means)


def canonical(model: str) -> str:
    """A model's name without organisation or folder, in small letters, with "-" for "_" and
    blanks."""
    last = re.split(r"[/\\]|__", model.strip().rstrip("/\\"))[-1]
    return re.sub(r"[_\s]", "-", last).casefold()


def load_panel(path: str | Path | None = None) -> Panel:
    """The bundled panel, extended by a file of the same form.

    Raises
    ------
    SafescaleError
        If the file cannot be read or is not of that form.
    """
    panel = _read(data_folder() / "panel.yaml")
    if path is None:
        return panel
    extended = panel.extended(_read(Path(path)))
    _no_two_alike(extended.models, str(path))
    return extended


def panel_table(models: Iterable[str], panel: Panel) -> list[dict[str, Any]]:
    """One row a model: model, panel_name, family, parameters_b, parameters (total | active); None
    where the panel does not know."""
    rows = []
    for model in models:
        entry = panel.find(model)
        rows.append(
            {
                "model": model,
                "panel_name": entry.name if entry else None,
                "family": entry.family if entry else None,
                "parameters_b": entry.parameters_b if entry else None,
                "parameters": entry.parameters
                if entry and entry.parameters_b is not None
                else None,
            }
        )
    return rows


# --- reading --------------------------------------------------------------------------------------


def _names(model: PanelModel) -> set[str]:
    return {canonical(name) for name in (model.name, *model.aliases)}


def _read(path: Path) -> Panel:
    try:
        content = read_yaml(path)
    except InputError as error:
        raise SafescaleError(f"the panel cannot be read: {error}; expected a YAML file") from None
    content = _mapping({} if content is None else content, f"the panel {path}", _FIELDS)
    models = tuple(
        _model(entry, f"the panel {path}, model {n}") for n, entry in _list(content, "models", path)
    )
    ensembles = tuple(
        _ensemble(entry, f"the panel {path}, ensemble {n}")
        for n, entry in _list(content, "ensembles", path)
    )
    _no_two_alike(models, str(path))
    if len({ensemble.name for ensemble in ensembles}) < len(ensembles):
        raise SafescaleError(f"the panel {path}: two ensembles have one name; expected a name each")
    return Panel(models, ensembles, _means(content.get("published_means"), path))


def _list(content: Mapping[str, Any], name: str, path: Path) -> list[tuple[int, Any]]:
    entries = content.get(name)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise SafescaleError(f"the panel {path}: {name} is {entries!r}; expected a list")
    return list(enumerate(entries, 1))


def _mapping(entry: Any, where: str, fields: set[str]) -> Mapping[str, Any]:
    expected = f"expected a mapping with {', '.join(sorted(fields))}"
    if not isinstance(entry, dict):
        raise SafescaleError(f"{where} is {entry!r}; {expected}")
    if odd := sorted(str(name) for name in entry.keys() - fields):
        raise SafescaleError(f"{where} has {', '.join(odd)}; {expected}")
    return entry


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SafescaleError(f"{what} is {value!r}; expected a text")
    return value


def _positive(value: Any, what: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value < float("inf")
    ):
        raise SafescaleError(
            f"{what} is {value!r}; expected billions of parameters, a number above 0, or nothing "
            "where unknown"
        )
    return float(value)


def _model(entry: Any, where: str) -> PanelModel:
    entry = _mapping(entry, where, _MODEL_FIELDS)
    name = _text(entry.get("name"), f"{where}: name")
    family, size, aliases = entry.get("family"), entry.get("parameters_b"), entry.get("aliases", [])
    counted = entry.get("parameters", "total")
    if counted not in PARAMETERS:
        raise SafescaleError(
            f"{where} ({name}): parameters is {counted!r}; expected one of {', '.join(PARAMETERS)}"
        )
    if not isinstance(aliases, list):
        raise SafescaleError(f"{where} ({name}): aliases is {aliases!r}; expected a list of names")
    return PanelModel(
        name,
        None if family is None else _text(family, f"{where} ({name}): family"),
        None if size is None else _positive(size, f"{where} ({name}): parameters_b"),
        counted,
        tuple(_text(alias, f"{where} ({name}): an alias") for alias in aliases),
    )


def _ensemble(entry: Any, where: str) -> Ensemble:
    entry = _mapping(entry, where, _ENSEMBLE_FIELDS)
    name, members = _text(entry.get("name"), f"{where}: name"), entry.get("members")
    if not isinstance(members, list) or len(members) < 2:
        raise SafescaleError(
            f"{where} ({name}): members is {members!r}; expected a list of at least two models"
        )
    members = tuple(_text(member, f"{where} ({name}): a member") for member in members)
    if len({canonical(member) for member in members}) < len(members):
        raise SafescaleError(f"{where} ({name}): a member stands twice; each model has one vote")
    return Ensemble(name, members)


def _means(given: Any, path: Path) -> dict[str, dict[str, float | None]]:
    where = f"the panel {path}: published_means"
    means: dict[str, dict[str, float | None]] = {}
    if given is not None and not isinstance(given, dict):
        raise SafescaleError(f"{where} is {given!r}; expected condition: {{metric: value}}")
    for condition, values in (given or {}).items():
        if not isinstance(values, dict):
            raise SafescaleError(f"{where}, {condition} is {values!r}; expected metric: value")
        for metric, value in values.items():
            rate = metric != "latency_s"
            number = (
                not isinstance(value, bool)
                and isinstance(value, int | float)
                and 0 <= value <= (1 if rate else float("inf"))
            )
            if value is not None and not number:
                expected = "a fraction from 0 to 1" if rate else "seconds"
                raise SafescaleError(
                    f"{where}, {condition}, {metric} is {value!r}; expected {expected}, or nothing "
                    "if unpublished"
                )
        means[str(condition)] = {
            str(metric): None if value is None else float(value) for metric, value in values.items()
        }
    return means


def _no_two_alike(models: Iterable[PanelModel], where: str) -> None:
    owner: dict[str, str] = {}
    for model in models:
        for name in _names(model):
            if name in owner:
                raise SafescaleError(
                    f"the panel {where}: {owner[name]} and {model.name} are both called {name}; "
                    "expected a name each"
                )
            owner[name] = model.name

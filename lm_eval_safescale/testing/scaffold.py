"""Writes an installable package with one part of a kind, whose tests pass: the beginning of a
plugin (`templates/`).
"""

from __future__ import annotations

import keyword
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.plugins import plugins


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    folder: Path
    files: tuple[Path, ...]
    use: str
    """How to ask for the part once the package is installed."""


TEMPLATES = Path(__file__).with_name("templates")
STANDS_FOR = "plugin_name", "PluginName", "plugin-name"
"""In the templates: the module, the class, and the package."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a kind of part begins with."""

    kind: str
    """As `plugins.KINDS` calls it."""
    what: str
    use: str
    folder: Path


def templates() -> dict[str, Template]:
    """Every template, by the name by which the command line asks for it."""
    known = tomllib.loads((TEMPLATES / "templates.toml").read_text(encoding="utf-8"))
    return {
        name: Template(**each, folder=TEMPLATES / name.replace("-", "_"))
        for name, each in known.items()
    }


def write_plugin(name: str, kind: str, folder: Path) -> Written:
    """Write the package into `folder`, which must be empty or not there.

    Raises
    ------
    SafescaleError
        For a name that cannot be a package's, a kind that is none, or a folder in use; nothing is
        written then.
    """
    known = templates()
    if kind not in known:
        raise SafescaleError(f"there is no kind {kind!r}; expected one of {', '.join(known)}")
    template = known[kind]
    module = _module(name, template.kind)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SafescaleError(
            f"{folder} is there already and not empty; choose another (",
            ArgumentHint("folder", "FOLDER"),
            "), or remove it",
        )
    forms = (
        module,
        "".join(word.capitalize() for word in module.split("_")),
        module.replace("_", "-"),
    )
    values = {
        "kind": template.kind,
        "article": "An" if template.kind[0] in "aeiou" else "A",
        "what": template.what,
        "use": _named(template.use, forms),
    }
    texts = {
        place: _named(_filled(source.read_text(encoding="utf-8"), values), forms)
        for place, source in _files(template, module).items()
    }
    written = []
    try:
        for place, text in texts.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise SafescaleError(f"{folder} cannot be written: {error.strerror or error}") from error
    return Written(folder, tuple(written), values["use"])


def _files(template: Template, module: str) -> dict[str, Path]:
    """The files of a package, and the templates that they are made of; further files of a template
    stand beside its module."""
    module_file, test_file = f"{STANDS_FOR[0]}.py", f"test_{STANDS_FOR[0]}.py"
    others = [
        path
        for path in sorted(template.folder.iterdir())
        if path.is_file() and path.name not in (module_file, test_file)
    ]
    return {
        "pyproject.toml": TEMPLATES / "pyproject.toml.in",
        "README.md": TEMPLATES / "README.md.in",
        f"src/{module}/__init__.py": template.folder / module_file,
        f"tests/test_{module}.py": template.folder / test_file,
        **{f"src/{module}/{path.name.replace(STANDS_FOR[0], module)}": path for path in others},
    }


def _named(text: str, forms: tuple[str, str, str]) -> str:
    for stands_for, form in zip(STANDS_FOR, forms, strict=True):
        text = text.replace(stands_for, form)
    return text


def _module(name: str, kind: str) -> str:
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module):
        raise SafescaleError(
            f"the name {name!r} cannot be used; expected lower-case letters, digits and _, as in "
            "my_retriever"
        )
    taken = sys.stdlib_module_names | {"lm_eval", "lm_eval_safescale", "pytest", "tests"}
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or module in taken:
        raise SafescaleError(
            f"the name {name!r} cannot be used: Python or this package has it already; choose "
            "another"
        )
    if any(part.is_ours and part.name.casefold() == module for part in plugins().all(kind)):
        raise SafescaleError(
            f"the name {name!r} cannot be used: we have a {kind} of this name; choose another"
        )
    return module


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], text)

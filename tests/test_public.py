"""What is public is named, sorted and described, and the pages show nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import lm_eval_safescale

ROOT = Path(__file__).resolve().parent.parent
STATED = " ".join(lm_eval_safescale.__doc__.split()).partition("Internal is")[0]
ENTIRE, IN_PART = (
    re.findall(r"`(\w+)`", part)
    for part in STATED.replace("`__all__`", "").replace("(`renamed`)", "").split("; and ")
)
SHOWN = {
    found
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    for found in re.findall(
        r"^ *from lm_eval_safescale\.(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
}


def described_constants() -> set[str]:
    """Names that are given a value at the top of a module, with a docstring below."""
    found = set()
    for path in Path(lm_eval_safescale.__file__).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, below in pairwise(body):
            if (
                isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AnnAssign)
                    else []
                )
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


CONSTANTS = described_constants()


def by_kind(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts them."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


@pytest.mark.parametrize("package", ENTIRE)
def test_a_public_package_names_what_is_public_in_order_and_describes_each(package):
    module = import_module(f"lm_eval_safescale.{package}")
    assert module.__all__ == sorted(module.__all__, key=by_kind)
    for name in module.__all__:
        thing = getattr(module, name)
        described = name in CONSTANTS
        if inspect.isclass(thing) or inspect.isfunction(thing):
            # what a dataclass says of itself
            described = bool(thing.__doc__) and not thing.__doc__.startswith(f"{name}(")
        assert described, f"{package}.{name} has no docstring"


def test_the_pages_import_from_nothing_that_is_not_stated_to_be_public():
    assert len(ENTIRE) > 5
    assert len(IN_PART) > 5
    assert SHOWN
    assert not SHOWN - {*ENTIRE, *IN_PART}


def test_what_is_stated_to_be_public_is_there():
    for name in (*ENTIRE, *IN_PART):
        import_module(f"lm_eval_safescale.{name}")

"""The style sheets style what is there."""

import re
from pathlib import Path
from typing import get_args

import pytest

from lm_eval_safescale.families.views import Tone
from lm_eval_safescale.report.site import ASSETS

PACKAGE = Path(__file__).resolve().parents[2] / "lm_eval_safescale"
USERS = "\n".join(
    path.read_text("utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".html", ".js")
)


@pytest.mark.parametrize("sheet", sorted(ASSETS.glob("*.css")), ids=lambda path: path.name)
def test_every_class_and_id_of_a_style_sheet_is_used(sheet):
    text = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", sheet.read_text("utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"[.#]([a-z][\w-]*)", text))
    assert named
    unused = {name for name in named if not re.search(rf"\b{name}\b", USERS)}
    assert unused <= {f"tone-{tone}" for tone in get_args(Tone)}, "these are made of a tone"


@pytest.mark.parametrize("sheet", sorted(ASSETS.glob("*.css")), ids=lambda path: path.name)
def test_every_colour_is_used(sheet):
    sheets = "\n".join(path.read_text("utf-8") for path in ASSETS.glob("*.css"))
    declared = set(re.findall(r"(--[\w-]+):", sheet.read_text("utf-8")))
    assert [name for name in sorted(declared) if f"var({name})" not in sheets] == []

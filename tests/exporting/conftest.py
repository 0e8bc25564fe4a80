"""One study of each family that there is, the example plugin's among them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lm_eval_safescale.plugins as all_plugins
from lm_eval_safescale.analysis import Study
from lm_eval_safescale.assembly import families, load_dataset, lookup, settings_of_named
from lm_eval_safescale.exporting import Subject
from lm_eval_safescale.plugins import Plugin, Plugins
from tests.exporting.making import runs_of

SCT = Path(__file__).parents[2] / "plugins" / "safescale-sct" / "src"
FAMILIES = {
    "radsafe": "demo",
    "noharm_options": "noharm_demo",
    "medguard": "medguard_demo",
    "sct": "sct-examples",
}
"""Each with its demo data."""


@pytest.fixture(scope="module")
def data_of():
    """Data set and family by the family's name; the plugin's is found as if it were installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCT))
        import safescale_sct

        plugin = Plugin("safescale-sct", "1", "safescale_sct", lambda: safescale_sct)
        known = Plugins([*all_plugins._built_in(), plugin])
        for module in (all_plugins, families, lookup):
            patch.setattr(module, "plugins", lambda: known)
        yield {
            name: (load_dataset(settings_of_named(data)), families.family_named(name))
            for name, data in FAMILIES.items()
        }
        for name in [each for each in sys.modules if each.startswith("safescale_sct")]:
            del sys.modules[name]


@pytest.fixture(scope="module", params=FAMILIES)
def subject(request, data_of) -> Subject:
    """Runs on demo data of each family."""
    data, family = data_of[request.param]
    runs = runs_of(data, family)
    return Subject(Study(runs), asked_at={"Model-1B": "2026-03-31T12:00:00+02:00"})

"""The condition shows what it says."""

import plugin_name

from lm_eval_safescale.assembly import contexts_of, load_dataset
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.settings import Settings


def test_it_shows_three_passages_above_every_question(tmp_path):
    settings = Settings(dataset="demo", corpus="demo", index_dir=tmp_path)
    made = contexts_of(
        plugins().find("condition", "plugin-name/plugin_name"), load_dataset(settings), settings
    )
    assert {len(context.passages) for context in made.contexts.values()} == {3}


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("condition", "plugin-name/plugin_name").thing is plugin_name.PART

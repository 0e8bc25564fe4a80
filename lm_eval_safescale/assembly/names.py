"""Whether all that the settings name is there, looked at in an instant: before a library is
imported that takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from lm_eval_safescale.assembly.answers import find_reader
from lm_eval_safescale.assembly.data import find_dataset, load_dataset
from lm_eval_safescale.assembly.families import family_of
from lm_eval_safescale.assembly.lookup import builder_of, find
from lm_eval_safescale.assembly.search import load_settings_corpus
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.settings import Settings


def check_names(settings: Settings, conditions: Iterable[Part]) -> None:
    """Look up data set, reader, metrics, and what the conditions' contexts are built with.

    Raises
    ------
    SafescaleError
        As whatever uses the name or the file would say it later.
    """
    if settings.dataset_path is None:
        find_dataset(settings)
    elif not settings.dataset_path.exists():
        load_dataset(settings)
    for name in settings.metrics:
        plugins().find("metric", name)
    for condition in conditions:
        find_reader(settings, family_of(condition))
        if builder_of(condition, settings) is None or condition.thing.evidence:
            continue
        find("retriever", settings, "retriever")
        path = settings.corpus_path
        if settings.contexts is None and (
            settings.corpus is not None if path is None else not path.exists()
        ):
            load_settings_corpus(settings)

"""From settings to parts: which data set, metrics, reader, corpus, index and contexts a run uses.
It knows no harness.

Everything that a name in the settings stands for is looked up here, so that tasks, commands and
contract checks agree.
"""

from lm_eval_safescale.assembly.answers import find_reader
from lm_eval_safescale.assembly.condition_run import ConditionRun
from lm_eval_safescale.assembly.contexts import Chat, ModelFacts, build_command, contexts_of
from lm_eval_safescale.assembly.data import (
    load_dataset,
    load_part,
    setting_of_dataset,
    settings_of_named,
    where_data_is,
)
from lm_eval_safescale.assembly.families import family_named, family_of, prompts_of, settings_under
from lm_eval_safescale.assembly.lookup import builder_of, find
from lm_eval_safescale.assembly.names import check_names
from lm_eval_safescale.assembly.scoring import AskedMetric, Columns, Scorer, table_metrics
from lm_eval_safescale.assembly.search import (
    NoCorpusError,
    SearchTools,
    Warn,
    load_settings_corpus,
    load_settings_settling,
    make_index,
    setting_of_corpus,
)
from lm_eval_safescale.renamed import old_names

__all__ = [
    "AskedMetric",
    "Chat",
    "Columns",
    "ConditionRun",
    "ModelFacts",
    "NoCorpusError",
    "Scorer",
    "SearchTools",
    "Warn",
    "build_command",
    "builder_of",
    "check_names",
    "contexts_of",
    "family_named",
    "family_of",
    "find",
    "find_reader",
    "load_dataset",
    "load_part",
    "load_settings_corpus",
    "load_settings_settling",
    "make_index",
    "prompts_of",
    "setting_of_corpus",
    "setting_of_dataset",
    "settings_of_named",
    "settings_under",
    "table_metrics",
    "where_data_is",
]

__getattr__ = old_names(__name__, {"Bench": "lm_eval_safescale.assembly.SearchTools"})

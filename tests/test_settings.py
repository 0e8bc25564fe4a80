from pathlib import Path

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.settings import (
    MAKE_ANSWERS,
    MAKE_SCORES,
    SETTING_NAMES,
    Settings,
    load_settings,
    misspelt,
    recorded,
)


def load(metadata=None, **variables):
    return load_settings(metadata, environ=variables)


def test_metadata_goes_before_the_environment_and_both_before_the_defaults():
    assert load().draws == 20
    assert load(SAFESCALE_DRAWS="5").draws == 5
    assert load({"draws": 3}, SAFESCALE_DRAWS="5").draws == 3
    assert load({"draws": 3}, SAFESCALE_TEMPERATURE="0.5").temperature == 0.5


def test_the_default_is_the_real_data_set_under_the_published_protocol():
    settings = load()
    assert (settings.dataset, settings.dataset_path) == ("RadSaFE-200", None)
    assert (settings.draws, settings.temperature, settings.overconfidence_threshold) == (
        20,
        0.7,
        0.8,
    )


@pytest.mark.parametrize("name", sorted(SETTING_NAMES))
def test_every_setting_is_described_and_may_be_left_empty_in_either_place(name):
    assert Settings.model_fields[name].description
    assert load({name: None}, **{f"SAFESCALE_{name.upper()}": ""}) == Settings()


def test_what_is_no_setting_of_ours_is_left_alone():
    assert (
        load({"pretrained": "gpt2", "dtype": "auto", "max_length": 2048}, PATH="/bin", HF_TOKEN="x")
        == Settings()
    )


def test_an_unknown_variable_of_ours_is_refused_with_the_one_that_was_meant():
    with pytest.raises(
        SafescaleError,
        match=(
            r"SAFESCALE_DRAW is not a setting \(did you mean draws\?\); known: accept_temperature, "
            r"builder_args, "
        ),
    ):
        load(SAFESCALE_DRAW="5")


def test_a_misspelt_key_of_the_metadata_is_found_but_not_a_models_argument():
    metadata = {
        "datset": "demo",
        "Draws": 3,
        "draws": 3,
        "pretrained": "gpt2",
        "temperatur": 1,
        "max_length": 9,
        7: "seven",
    }
    assert misspelt(metadata) == {
        "datset": "dataset",
        "Draws": "draws",
        "temperatur": "temperature",
    }


# --- which data -----------------------------------------------------------------------------------


def test_a_name_and_a_path_in_one_place_are_refused():
    for place in (
        {"metadata": {"dataset": "demo", "dataset_path": "a.csv"}},
        {"SAFESCALE_DATASET": "demo", "SAFESCALE_DATASET_PATH": "a.csv"},
    ):
        with pytest.raises(SafescaleError, match="not both"):
            load(**place)


@pytest.mark.parametrize(
    ("metadata", "variable", "expected"),
    [
        ({"dataset_path": "a.csv"}, "SAFESCALE_DATASET", ("RadSaFE-200", Path("a.csv"))),
        ({"dataset": "other"}, "SAFESCALE_DATASET_PATH", ("other", None)),
    ],
)
def test_a_choice_of_data_in_the_metadata_replaces_one_in_the_environment_however_it_is_named(
    metadata, variable, expected
):
    settings = load(metadata, **{variable: "demo"})
    assert (settings.dataset, settings.dataset_path) == expected


def test_columns_may_be_a_mapping_or_json_in_a_variable():
    expected = {"question": "Stem", "option_a": "{x}"}
    assert (
        load({"columns": expected}).columns
        == load(SAFESCALE_COLUMNS='{"question": "Stem", "option_a": "{x}"}').columns
        == expected
    )


# --- values that cannot be used -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("draws", -1), ("draws", 1001), ("draws", 2.5), ("draws", "many"), ("draws", "nan"),
        ("draws", [5]), ("accept_temperature", 0), ("accept_temperature", True),
        ("send_seed", "perhaps"), ("temperature", 0), ("temperature", -0.7), ("temperature", "nan"),
        ("temperature", "inf"), ("temperature", float("nan")), ("overconfidence_threshold", -0.1),
        ("overconfidence_threshold", 1.1), ("overconfidence_threshold", "nan"),
        ("max_answer_tokens", 0), ("max_answer_tokens", "ten"), ("reasoning", "maybe"),
        ("reasoning", 2), ("columns", "question=Stem"), ("columns", '["question"]'),
        ("columns", '{"question": 3}'), ("columns", '"question"'), ("dataset", 3),
        ("dataset", ["demo"]), ("dataset_path", 3), ("prompt_file", ["a"]),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_by_name_and_place(name, value):
    with pytest.raises(SafescaleError, match=rf"\n  {name}[.\w]* = .+ \(metadata\): "):
        load({name: value})


@pytest.mark.parametrize("name", ["draws", "temperature", "max_answer_tokens"])
def test_true_is_not_a_number(name):
    with pytest.raises(SafescaleError):
        load({name: True})


def test_all_wrong_settings_are_named_at_once_with_where_they_stand():
    with pytest.raises(SafescaleError) as caught:
        load({"draws": -1, "reasoning": "maybe"}, SAFESCALE_TEMPERATURE="hot", SAFESCALE_DRAWS="5")
    message = str(caught.value)
    assert "draws = -1 (metadata)" in message
    assert "reasoning = 'maybe' (metadata)" in message
    assert "temperature = 'hot' (environment)" in message


# --- how long an answer may be --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (True, "on"), ("true", "on"), ("1", "on"), ("Yes", "on"), ("ON", "on"), (1, "on"),
        (False, "off"), ("False", "off"), ("0", "off"), ("no", "off"), ("off", "off"), (0, "off"),
        ("auto", "auto"), ("SEPARATE", "separate"),
    ],
)  # fmt: skip
def test_reasoning_may_be_written_as_people_write_yes_and_no(written, read):
    assert load({"reasoning": written}).reasoning == read


@pytest.mark.parametrize(
    ("reasoning", "tokens"), [("auto", 10), ("off", 10), ("on", 4096), ("separate", 4096)]
)
def test_a_model_that_reasons_first_has_4096_tokens_and_any_other_10(reasoning, tokens):
    assert load({"reasoning": reasoning}).answer_tokens == tokens
    assert load({"reasoning": reasoning, "max_answer_tokens": 77}).answer_tokens == 77


def test_settings_do_not_change_once_made():
    with pytest.raises(ValueError, match="frozen"):
        load().draws = 3


# --- retrieval ------------------------------------------------------------------------------------


def test_passages_are_cut_and_shown_as_published_unless_told():
    settings = load()
    assert (settings.chunk_tokens, settings.chunk_overlap, settings.top_k, settings.retriever) == (
        300,
        50,
        10,
        "bm25",
    )
    assert (
        settings.corpus,
        settings.corpus_path,
        settings.max_context_tokens,
        settings.contexts,
    ) == (None, None, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk_tokens", 0), ("chunk_tokens", True), ("chunk_overlap", -1), ("top_k", 0),
        ("top_k", 1001), ("top_k", False), ("max_context_tokens", 0), ("max_context_tokens", True),
        ("retriever_args", [1]), ("retriever_args", "{oops"), ("builder_args", "no"),
        ("metrics", [1]), ("metrics", {"a": 1}), ("metrics", "{oops"), ("corpus_path", 7),
        ("corpus_path", ""), ("settling_path", " "), ("contexts", ""), ("index_dir", ""),
    ],
)  # fmt: skip
def test_a_retrieval_setting_that_cannot_be_is_named_with_its_value_and_place(name, value):
    with pytest.raises(SafescaleError, match=rf"{name}.* = .* \(metadata\)"):
        load({name: value})


def test_settings_of_a_retriever_are_json_in_a_variable():
    assert load(SAFESCALE_RETRIEVER_ARGS='{"b": 0.5}').retriever_args == {"b": 0.5}
    assert load(SAFESCALE_BUILDER_ARGS='{"x": [1]}').builder_args == {"x": [1]}


@pytest.mark.parametrize(
    "given", ["a, b", ["a", "b"], {"a": {}, "b": {}}, '["a", "b"]', '{"a": {}, "b": {}}']
)
def test_metrics_are_named_in_a_list_or_with_their_settings(given):
    assert load({"metrics": given}).metrics == {"a": {}, "b": {}}


def test_a_named_corpus_and_a_corpus_of_one_s_own_are_not_given_together():
    with pytest.raises(
        SafescaleError, match=r"corpus \('demo'\) and corpus_path \('x.jsonl'\) are both set"
    ):
        load({"corpus": "demo", "corpus_path": "x.jsonl"})
    settings = load({"corpus_path": "x.jsonl"}, SAFESCALE_CORPUS="demo")
    assert (settings.corpus, str(settings.corpus_path)) == (None, "x.jsonl")


def test_where_only_settings_may_stand_another_name_is_refused():
    with pytest.raises(
        SafescaleError,
        match=r"no setting of this name: chunk_token \(did you mean chunk_tokens\?\)",
    ):
        load_settings({"chunk_token": 3}, environ={}, strict=True)


# --- what makes what ------------------------------------------------------------------------------


def test_an_accepted_temperature_is_the_only_one():
    settings = load({"accept_temperature": 1, "temperature": 0.3})
    assert (settings.temperature, settings.greedy_temperature) == (1.0, 1.0)
    assert (load().temperature, load().greedy_temperature) == (0.7, 0.0)


def test_a_setting_makes_one_thing():
    assert not MAKE_ANSWERS & MAKE_SCORES
    assert MAKE_ANSWERS | MAKE_SCORES < SETTING_NAMES


def test_what_is_recorded_compares_with_records_that_are_older_than_a_setting():
    old = {
        "draws": 20,
        "temperature": 0.7,
        "max_answer_tokens": None,
        "reasoning": "auto",
        "reader": "strict",
    }
    assert (
        recorded(load().model_dump(mode="json"), MAKE_ANSWERS) == old == recorded(old, MAKE_ANSWERS)
    )
    assert recorded({"send_seed": False, "metrics": {"x": {}}}, {"send_seed", "metrics"}) == {
        "send_seed": False,
        "metrics": {"x": {}},
    }


# --- how data are read ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [["7", 12, " a b "], '["7", 12, "a b"]', "7,12, a b ,7", "FILE"])
def test_items_to_leave_out_are_ids_or_a_file_of_them(given, tmp_path):
    (path := tmp_path / "out.txt").write_text("7\n12\n\na b\n")
    given = str(path) if given == "FILE" else given
    assert load({"exclude_items": given}).exclude_items == ["7", "12", "a b"]
    variable = given if isinstance(given, str) else ",".join(map(str, given))
    assert load(SAFESCALE_EXCLUDE_ITEMS=variable).exclude_items == ["7", "12", "a b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exclude_items", [1.5]), ("exclude_items", 7), ("exclude_items", [True]),
        ("first_index", 2), ("first_index", -1), ("first_index", True), ("first_index", "one"),
        ("columns", {"question": []}), ("columns", {"question": [1]}),
    ],
)  # fmt: skip
def test_a_way_to_read_data_that_is_none_is_refused_by_its_name(name, value):
    with pytest.raises(SafescaleError, match=f"{name}.* = "):
        load({name: value})


def test_null_leaves_a_field_unread_and_an_empty_name_is_refused():
    assert load({"columns": '{"unsafe": null}'}).columns == {"unsafe": None}
    for empty in ('""', '" "', '["Stem", ""]'):
        with pytest.raises(SafescaleError) as caught:
            load({"columns": f'{{"unsafe": {empty}}}'})
        assert (
            "columns.unsafe: an empty name; expected a column, a list of columns, or null to leave "
            "it unread"
        ) in str(caught.value)
        assert "Input should" not in str(caught.value)


def test_where_numbers_count_from_is_found_again_with_the_data_be_it_0():
    from lm_eval_safescale.assembly.data import where_data_is

    columns = {"question": ["context", "question"], "question_id": "#line"}
    settings = load(
        {"dataset_path": "x.csv", "columns": columns, "exclude_items": "1,2"},
        SAFESCALE_FIRST_INDEX="0",
    )
    again = load(where_data_is(settings))
    assert (again.first_index, again.exclude_items, again.columns) == (0, ["1", "2"], columns)

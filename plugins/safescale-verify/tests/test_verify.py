"""The strategy against cases worked by hand, with a stub for the models."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from safescale_verify import VERIFY, verdict

from lm_eval_safescale import assembly
from lm_eval_safescale.contexts import ORCHESTRATE, WRITE, ModelSession, StepLog, Unusable
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Choice, Passage
from lm_eval_safescale.settings import load_settings
from lm_eval_safescale.testing import StubModel, check_context_builder

ITEM = Choice("q", "Which finding?", {"A": "a line", "B": "a flap"}, "A")


def passage(name, rank=1):
    return Passage(f"{name}#1", name, f"On {name}", f"Text of {name}.", 1.0, rank)


FOUND = {
    "Which finding?": [passage("lung"), passage("vein", 2), passage("hip", 3)],
    "Which finding? a line": [passage("line"), passage("lung", 2), passage("bone", 3)],
    "Which finding? a flap": [passage("lung"), passage("flap", 2), passage("line", 3)],
}
READ = ["lung", "line", "vein", "flap", "hip", "bone"]
"""What is read of it, in the order worked by hand: rank 1 of each query, then rank 2, then rank 3;
each once."""


class StubModels:
    """Replies by the kind of prompt; a verdict is NOT SUPPORTED for claims that hold the word
    `wrong`."""

    def __init__(self, draft="", revised="", verdict=None):
        self.lists, self.verdict = {"draft": draft, "revise": revised}, verdict
        self.prompts = {"draft": [], "revise": [], "verify": []}
        self.waves = []

    def writing(self, prompt):
        step = "revise" if "Facts stated so far" in prompt else "draft"
        self.prompts[step].append(prompt)
        return self.lists[step]

    def checking(self, prompt):
        self.prompts["verify"].append(prompt)
        return self.verdict or ("NOT SUPPORTED" if "wrong" in prompt else "SUPPORTED")

    def report(self, window=None, **settings):
        models = {
            WRITE: StubModel("writing", self.writing, window),
            ORCHESTRATE: StubModel("checking", self.checking),
        }
        self.session = ModelSession(
            models, StepLog(None, {}), lambda now: self.waves.append((now.wave, now.of))
        )
        (draft,) = VERIFY.build([ITEM], self, **settings)
        return draft

    def search(self, queries, k):
        return [FOUND[query][:k] for query in queries]


def claims(draft):
    return [line.removeprefix("- ") for line in draft.text.splitlines() if line.startswith("- ")]


def counts(draft):
    return tuple(
        draft.notes[name]
        for name in ("claims_drafted", "claims_not_supported", "citations_removed")
    )


def test_it_keeps_the_contract_of_a_context_builder():
    check_context_builder(VERIFY)
    check_context_builder(
        VERIFY, settings={"passages": 1, "most_claims": 2, "least_claims": 2, "thinking_tokens": 50}
    )


def test_where_no_passage_is_found_nothing_is_asked_and_nothing_is_shown():
    models = StubModels("- a [1]")
    models.search = lambda queries, k: [[] for _ in queries]
    draft = models.report(passages=3)
    assert (draft.text, draft.passages, draft.passages_wanted, draft.failed) == ("", (), 3, "")
    assert models.waves == [(0, 0)]


def test_it_is_found_once_installed():
    registered = []
    entry_points(group=GROUP)["verify"].load().safescale_register_context_builders(
        registered.append
    )
    assert registered == [VERIFY]


def test_it_writes_the_reports_of_the_agentic_condition(tmp_path):
    given = {
        "dataset": "demo",
        "corpus": "demo",
        "report_builder": "verify",
        "report_args": {"passages": 1},
    }
    settings = load_settings({**given, "index_dir": str(tmp_path)}, environ={})
    model = StubModel(
        "stub", lambda prompt: "SUPPORTED" if "Claim: " in prompt else "- a [1]\n- b [2]\n- c [3]"
    )
    chat = assembly.Chat({WRITE: model, ORCHESTRATE: model})
    data = assembly.load_dataset(settings)
    made = assembly.contexts_of(plugins().find("condition", "agentic"), data, settings, chat=chat)
    assert made.about["builder"]["name"] == "verify"
    assert made.about["builder"]["settings"]["passages"] == 1
    assert set(made.contexts) == {item.question_id for item in data}
    assert all(0 < len(context.passages) <= 3 for context in made.contexts.values())
    assert {context.measures["leak"] for context in made.contexts.values()} == {0}


def test_a_report_holds_the_supported_claims_and_the_sources_that_they_cite():
    models = StubModels(
        "- a wrong claim [1]\n- a flap [4]\n- a line and a flap [2, 4]\n- the hip [5]"
    )
    draft = models.report()
    head, rest = draft.text.split("\n", 1)
    assert "literature" in head
    assert rest == (
        "- a flap [1]\n- a line and a flap [2, 1]\n- the hip [3]\n\n## Sources\n[1] On flap\n"
        "[2] On line\n[3] On hip"
    )
    assert [each.article for each in draft.passages] == ["flap", "line", "hip"]
    assert counts(draft) == (4, 1, 0)
    assert draft.notes["fallbacks"] == {}


def test_the_best_passages_of_each_query_are_read_first_and_each_once():
    models = StubModels("- a [1]\n- b [1]\n- c [1]")
    draft = models.report()
    assert draft.notes["queries"] == list(FOUND)
    (prompt,) = models.prompts["draft"]
    places = [prompt.index(f"[{number}] Text of {name}.") for number, name in enumerate(READ, 1)]
    assert places == sorted(places)
    assert "[7]" not in prompt


def test_a_claim_is_verified_against_the_passages_that_it_cites_and_no_others():
    models = StubModels("- it is thick [2, 6]\n- thin [1]\n- it [3] moves")
    models.report()
    shown = [
        {name for name in READ if f"Text of {name}." in prompt}
        for prompt in models.prompts["verify"]
    ]
    assert shown == [{"line", "bone"}, {"lung"}, {"vein"}]
    assert [prompt.split("Claim: ")[1].splitlines()[0] for prompt in models.prompts["verify"]] == [
        "it is thick",
        "thin",
        "it moves",
    ]


def test_all_claims_are_verified_in_one_wave():
    models = StubModels("- a [1]\n- b [2]\n- c [3]\n- d [4]")
    models.report()
    assert sorted({(wave, of) for wave, of in models.waves if of}) == [(1, 1), (2, 4)]


def test_too_few_supported_claims_are_replaced_once_and_the_others_verified():
    models = StubModels("- a [1]\n- wrong b [2]\n- c [3]", "- wrong d [4]\n- e [5]\n- a [1]")
    draft = models.report()
    assert claims(draft) == ["a [1]", "c [2]", "e [3]"]
    (prompt,) = models.prompts["revise"]
    assert "Facts stated so far:\n- a [1]\n- c [3]\n" in prompt
    assert "do not support:\n- wrong b [2]\n" in prompt
    assert len(models.prompts["verify"]) == 5  # not a again
    assert counts(draft) == (5, 2, 0)


@pytest.mark.parametrize(("least", "asked"), [(1, 0), (2, 0), (3, 1)])
def test_claims_are_replaced_only_where_fewer_than_the_least_are_supported(least, asked):
    models = StubModels("- a [1]\n- wrong b [2]\n- c [3]", "- d [1]")
    assert len(claims(models.report(least_claims=least))) == 2 + asked
    assert len(models.prompts["revise"]) == asked


def test_a_report_holds_no_more_claims_than_the_most():
    models = StubModels(
        "- a [1]\n- b [2]\n- wrong c [3]\n- d [4]\n- e [5]", "- f [1]\n- g [2]\n- h [3]"
    )
    assert claims(models.report(most_claims=3)) == ["a [1]", "b [2]", "f [1]"]


def test_a_revision_that_gives_nothing_leaves_the_claims_of_the_draft():
    for revised in ("", "no list", "- a [1]", "- uncited"):
        models = StubModels("- a [1]", revised)
        draft = models.report()
        assert claims(draft) == ["a [1]"]
        assert draft.notes["fallbacks"] == {"revise": 1}


def test_a_report_without_a_supported_claim_has_failed():
    draft = StubModels("- wrong a [1]\n- wrong b [2]", "- wrong c [3]").report()
    assert (draft.text, draft.failed) == (
        "",
        "no claim is supported by the passages that it cites (claims: 3)",
    )


def test_a_verdict_that_cannot_be_read_counts_as_not_supported():
    models = StubModels("- a [1]\n- b [2]", "- c [3]", verdict="Perhaps.")
    assert models.report().failed.startswith("no claim is supported")
    assert len(models.prompts["verify"]) == 6  # each twice

    class Hesitant(StubModels):
        def checking(self, prompt):
            return "Maybe" if "Claim: b" in prompt else super().checking(prompt)

    draft = Hesitant("- a [1]\n- b [2]\n- c [3]\n- d [1]").report()
    assert claims(draft) == ["a [1]", "c [2]", "d [1]"]
    assert draft.notes["fallbacks"] == {"verify": 1}
    assert counts(draft) == (4, 1, 0)


def test_a_claim_must_cite_a_passage_that_was_shown():
    draft = StubModels("- a [1, 9]\n- b [7]\n- c\n- d [6]\n- a [1]\n- e [0]", "- f [2]").report()
    assert claims(draft) == ["a [1]", "d [2]", "f [3]"]
    assert draft.notes["citations_removed"] == 1  # those of lines that are no claims do not count


def test_a_draft_without_a_claim_is_asked_for_again_and_then_fails():
    models = StubModels("I cannot say.")
    assert models.report().failed == (
        "draft: Expected new claims, one a line, each with the number of a passage, [1] to [6]. "
        "(asked twice)"
    )
    assert len(models.prompts["draft"]) == 2


def test_claims_cite_only_the_passages_that_fit_the_models_window():
    models = StubModels("- a [1]\n- b [3]\n- c [2]\n- d [1, 2]")
    whole = models.report()
    assert claims(whole) == ["a [1]", "b [2]", "c [3]", "d [1, 3]"]
    words = len(models.prompts["draft"].pop().split())
    reserved = 8 * 70 + 300  # the reply, and what a second asking needs; a passage has 4 words
    draft = models.report(words + reserved - 4 * 4)
    assert claims(draft) == ["a [1]", "c [2]", "d [1, 2]"]
    assert (draft.notes["passages_left_out"], draft.notes["citations_removed"]) == (4, 0)
    assert models.report(reserved).failed == "draft: not even one passage fits the model's window"


def test_a_claim_that_gives_the_answer_away_never_stands_in_a_report():
    models = StubModels(
        "- The correct answer is A [1]\n- a line is seen [2]\n- a flap moves [4]\n- a bone [6]"
    )
    draft = models.report()
    assert claims(draft) == ["a line is seen [1]", "a flap moves [2]", "a bone [3]"]
    assert "must not say which option is right" in models.prompts["draft"][1]
    assert draft.notes["fallbacks"] == {"draft": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *(
            ("SUPPORTED", True),
            ("supported.", True),
            ("**SUPPORTED**\nThe text says so.", True),
            ("\n SUPPORTED: it does", True),
        ),
        *(
            ("NOT SUPPORTED", False),
            ("Not supported. It says less.", False),
            ("UNSUPPORTED", False),
            ("NOT-SUPPORTED", False),
        ),
        *(
            ("", None),
            ("Yes", None),
            ("SUPPORTED or NOT SUPPORTED", None),
            ("SUPPORTED\nNOT SUPPORTED", None),
        ),
        *(
            ("The claim is not fully supported.", None),
            ("Supported in part", None),
            ("It is supported", None),
        ),
    ],
)
def test_a_verdict_is_read_only_where_it_is_clear(text, says):
    if says is None:
        with pytest.raises(Unusable, match="SUPPORTED or NOT SUPPORTED"):
            verdict(text)
    else:
        assert verdict(text) is says


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("passages", "most_claims", "least_claims")
            for value in (0, 2.5, "3", True, None)
        ),
        *(("thinking_tokens", -1), ("least_claims", 9)),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, value):
    with pytest.raises(SafescaleError, match=f"verify: {name} = "):
        StubModels("- a [1]").report(**{name: value})

"""The model card: its numbers are those of `results`, and what no run knows stands blank."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from lm_eval_safescale.report.building import Wanted, _report, build_report
from lm_eval_safescale.report.methods.card import (
    BLANK,
    NOT_MEASURED,
    SCHEMA,
    as_markdown,
    as_xml,
    card_of,
    plain,
)
from tests.report.making import drawn_runs, stored
from tests.report.studies import HOSTILE, HOSTILE_MODELS

MODEL = "Qwen3-32B"
METRIC = (
    "MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription",
    "ValidationProcessAndJustification",
)  # fmt: skip
ORDER = {
    "BasicInfo": ("ModelName", "ModelDeveloper", "DeveloperContact"),
    "ReleaseInfo": (
        "ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability", "RegulatoryApproval",
    ),
    "ModelSummary": ("Summary", "Keywords"),
    "UsesAndDirections": (
        "IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse", "TargetedPatientPopulation",
        "CautionedOutOfScopeSettings",
    ),
    "Warnings": (
        "KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel",
    ),
    "TrustIngredients": ("AISystemFacts", "TransparencyInformation"),
    "AISystemFacts": (
        "OutcomesAndOutputs", "ModelType", "FoundationModels", "InputDataSource",
        "OutputAndInputDataTypes", "DevelopmentDataCharacterization", "BiasMitigationApproaches",
        "OngoingMaintenance", "Security", "Transparency",
    ),
    "TransparencyInformation": ("FundingSource", "ThirdPartyInformation", "StakeholdersConsulted"),
    "KeyMetrics": ("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"),
    **dict.fromkeys(("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"), METRIC),
    "Resources": (
        "EvaluationReferences", "ClinicalTrial", "PeerReviewedPublications", "ReimbursementStatus",
        "PatientConsentOrDisclosure",
    ),
}  # fmt: skip
"""Elements of CHAI's schema v0.2 with theirs, in order; one that may be left out is left out."""


def report_of(runs, **wanted):
    return _report({"runs": runs}, Wanted(**wanted))


@pytest.fixture(scope="module")
def report():
    return report_of(drawn_runs(), baseline=MODEL)


def xml_of(report):
    return Xml.fromstring(as_xml(card_of(report)))


def of_part(card, name):
    return card.find(f".//{{{SCHEMA}}}{name}")


def results_in(card, name):
    return {
        each[0].text: json.loads(each[1].text)
        for each in card.findall(f".//{{{SCHEMA}}}{name}//{{{SCHEMA}}}MetricResult")
    }


def test_every_number_is_that_of_results(report):
    card, table = xml_of(report), as_markdown(card_of(report))
    found = 0
    for metric in report.family.headlines:
        higher = {each.name: each.higher_is_better for each in report.study.metrics}[metric]
        part = "UsefulnessUsabilityEfficacy" if higher else "SafetyReliability"
        told = results_in(card, part)
        for row in report.rows("results", model=MODEL, metric=metric, group_name=None):
            label = f"{report.words(metric)}, {report.words(row['condition'])}"
            value = told[f"{label} (n = {row['n']}, {row['not_scored']} not scored)"]
            assert value["estimate"] == 100 * row["value"]
            assert (value["lower"], value["upper"]) == (100 * row["lo"], 100 * row["hi"])
            assert (value["level"], value["unit"]) == (95, "%")
            line = (
                f"| {label} | {100 * row['value']:.1f} % | {100 * row['lo']:.1f} to "
                f"{100 * row['hi']:.1f} | {row['n']} | {row['not_scored']} | {row['draws']} |"
            )
            assert line in table
            found += 1
    assert found == len(report.family.headlines) * len(report.conditions)


def test_groups_are_the_lowest_and_said_to_be_no_people(report):
    card = xml_of(report)
    told = results_in(card, "FairnessEquity")
    assert len(told) == len(report.conditions) * 2
    for label, value in told.items():
        rows = report.rows("results", model=MODEL, metric="accuracy", group_name="subspecialty")
        own = [row for row in rows if f"{report.words(row['condition'])}," in label]
        if "subspecialty" in label:
            assert value["estimate"] == 100 * min(row["value"] for row in own)
    (part,) = card.findall(f".//{{{SCHEMA}}}FairnessEquity")
    assert "not of people" in part.find(f"{{{SCHEMA}}}Interpretation").text


def test_what_the_runs_do_not_know_is_blank(report):
    card = xml_of(report)
    for name in (
        "ModelDeveloper", "IntendedUseAndWorkflow", "PrimaryIntendedUsers", "ClinicalRiskLevel",
        "KnownBiasesOrEthicalConsiderations", "DevelopmentDataCharacterization", "ReleaseVersion",
    ):  # fmt: skip
        assert of_part(card, name).text == BLANK
    text = as_markdown(card_of(report))
    assert f"### Intended use and workflow\n\n*{BLANK}*" in text
    assert "### Model name\n\nQwen3-32B\n" in text


def test_elements_are_those_of_the_schema_in_its_order(report):
    card = xml_of(report)
    assert card.tag == f"{{{SCHEMA}}}AppliedModelCard"
    names = [each.tag.partition("}")[2] for each in card]
    assert names == [*(name for name in ORDER if name in names), "Bibliography"]
    for name, expected in ORDER.items():
        assert [each.tag.partition("}")[2] for each in of_part(card, name)] == list(expected)


def test_demo_data_and_what_is_not_scored_are_warned_of():
    runs = drawn_runs(labels=False)
    about = {**runs.about, "dataset": {**runs.about["dataset"], "demo": True}}
    report = report_of(replace(runs, about=about))
    risks = of_part(xml_of(report), "KnownRisksAndLimitations").text
    assert "DEMO" in risks
    assert any(row["reason"] in risks for row in report.about["not_scored"])
    assert BLANK in risks
    assert "(DEMO)" in of_part(xml_of(report), "TestingDataDescription").text


def test_what_was_not_measured_is_said_to_be_so():
    report = report_of(drawn_runs(draws=0, labels=False))
    text = as_markdown(card_of(report))
    assert "| dangerous overconfidence, closed-book | – |" in text
    told = results_in(xml_of(report), "SafetyReliability")
    assert not any("overconfidence" in label for label in told)
    assert NOT_MEASURED not in told  # unanswered is


@pytest.mark.parametrize("text", [*HOSTILE, *HOSTILE_MODELS])
def test_a_text_is_no_markup(text):
    shown = plain(text)
    assert "\n" not in shown
    for place, character in enumerate(shown):
        if character in "<>[]`|*_#":
            assert shown[place - 1] == "\\"
    assert "://" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("name", HOSTILE_MODELS)
def test_a_model_of_any_name_has_a_whole_card(name):
    runs = drawn_runs(models=(MODEL,), conditions=("clean",), n=4, draws=1)
    models = {name: runs.about["models"][MODEL]}
    answers = runs.answers.with_columns(model=runs.answers["model"].cast(str).replace(MODEL, name))
    report = report_of(replace(runs, answers=answers, about={**runs.about, "models": models}))
    assert of_part(xml_of(report), "ModelName").text == plain(name)
    assert as_markdown(card_of(report)).startswith(f"# Model card: {plain(name)}\n")


def test_a_card_is_written_beside_the_report_one_for_each_data_set(tmp_path):
    folders = [stored(drawn_runs(n=n, models=(MODEL,)), tmp_path / str(n)) for n in (6, 8)]
    built = build_report(folders[:1], tmp_path / "one", Wanted(card=tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text("utf-8").startswith("# Model card: Qwen3-32B")
    assert any("card.md" in note for note in built.notes)
    build_report(folders, tmp_path / "two", Wanted(card=tmp_path / "card.xml"))
    cards = sorted(tmp_path.glob("card-*.xml"))
    assert len(cards) == 2
    for path in cards:
        assert Xml.parse(path).getroot().tag == f"{{{SCHEMA}}}AppliedModelCard"

"""A model card of one model in a study: the applied model card of the Coalition for Health AI
(CHAI), as Markdown, or as XML in the elements and order of its schema v0.2
(https://mc.chai.org/v0.2/schema.xsd). What the runs measured is filled in; all else stands blank,
for the developer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import writing
from lm_eval_safescale.files import replaced
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.report.methods.facts import Facts, joined
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.report.tables import interval_of, text_of
from lm_eval_safescale.stats.presets import LEVEL
from lm_eval_safescale.words import counted

SCHEMA = "https://mc.chai.org/v0.2/schema.xsd"
BLANK = "(to be filled in by the developer)"
FAIRNESS = "FairnessEquity"
NOT_MEASURED = "Not measured"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@]|(?<=:)/|(?<=www)\.|^[-+=]|(?<=^\d)[.)])")
"""What is markup anywhere, what makes a link of an address, and what begins a list or a head."""
_NO_XML = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of `results`."""

    label: str
    row: Mapping[str, Any]
    is_fraction: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A field of the card, or a part with fields."""

    tag: str
    """Its element in XML."""
    title: str
    text: str = ""
    """Markdown; empty: left to the developer."""
    parts: Sequence[Part] = ()
    measured: Sequence[Measured] | None = None
    """Of the field with results."""


def write_card(report: Report, path: Path) -> None:
    """Write the card of the model that the report looks at, in place of what is there; XML where
    the file's name ends so. SafescaleError if it cannot be written."""
    card = card_of(report)
    text = as_xml(card) if path.suffix.casefold() == ".xml" else as_markdown(card)
    with writing(path), replaced(path) as unfinished:
        unfinished.write_text(text, "utf-8")


def card_of(report: Report) -> list[Part]:
    """The card of the model that a report looks at (`Report.chosen`)."""
    facts, model = Facts(report), report.chosen
    return [
        Part(
            "BasicInfo",
            "Basic information",
            parts=(
                Part("ModelName", "Model name", plain(model)),
                Part("ModelDeveloper", "Developer"),
                Part("DeveloperContact", "Contact"),
            ),
        ),
        Part(
            "ReleaseInfo",
            "Release",
            parts=(
                Part("ReleaseStage", "Stage"),
                Part("ReleaseDate", "Date"),
                Part("ReleaseVersion", "Version", plain(facts.version(model) or "")),
                Part("GlobalAvailability", "Where it can be had"),
                Part("RegulatoryApproval", "Regulatory approval"),
            ),
        ),
        Part(
            "ModelSummary",
            "Summary",
            parts=(Part("Summary", "Summary"), Part("Keywords", "Keywords")),
        ),
        Part(
            "UsesAndDirections",
            "Uses and directions",
            parts=(
                Part("IntendedUseAndWorkflow", "Intended use and workflow"),
                Part("PrimaryIntendedUsers", "Intended users"),
                Part("HowToUse", "How to use it"),
                Part("TargetedPatientPopulation", "Patients it is for"),
                Part("CautionedOutOfScopeSettings", "Where it must not be used"),
            ),
        ),
        Part(
            "Warnings",
            "Warnings",
            parts=(
                Part("KnownRisksAndLimitations", "Known risks and limitations", _limits(facts)),
                Part("KnownBiasesOrEthicalConsiderations", "Known biases, ethics"),
                Part("ClinicalRiskLevel", "Clinical risk"),
            ),
        ),
        Part("TrustIngredients", "What trust can rest on", parts=_trust()),
        Part("KeyMetrics", "Key metrics", parts=_key_metrics(facts)),
        Part(
            "Resources",
            "Resources",
            parts=(
                Part("EvaluationReferences", "Evaluation", _evaluated_by(facts)),
                Part("ClinicalTrial", "Clinical trials"),
                Part("PeerReviewedPublications", "Publications"),
                Part("ReimbursementStatus", "Reimbursement"),
                Part("PatientConsentOrDisclosure", "Consent of patients, or what they are told"),
            ),
        ),
        Part("Bibliography", "Bibliography"),
    ]


def _limits(facts: Facts) -> str:
    """What the figures below do not tell."""
    report, model = facts.report, facts.report.chosen
    dataset = report.about["dataset"]
    said = [
        f"The key metrics are of {report.about['items']:,} items of the data set "
        f"{dataset.get('name')}, answered in writing, and not of patients."
    ]
    if report.is_demo:
        said.append("DEMO data, invented to exercise software: no clinical claim may rest on it.")
    for name in ("not_scored", "remarks"):
        for row in report.about[name]:
            if row.get("model") in (None, model):
                under = report.words(row["condition"]) if row.get("condition") else ""
                number = f" ({counted(row['items'], 'item')})" if row.get("items") else ""
                said.append(f"{under}: {row['reason']}{number}" if under else f"{row['reason']}")
    items = [f"- {plain(each)}" for each in dict.fromkeys(said)]
    return "\n".join([*items, f"- Risks in use: {plain(BLANK)}"])


def _trust() -> tuple[Part, ...]:
    return (
        Part(
            "AISystemFacts",
            "Facts of the system",
            parts=(
                Part("OutcomesAndOutputs", "Outcomes and outputs"),
                Part("ModelType", "Type of model"),
                Part("FoundationModels", "Foundation models"),
                Part("InputDataSource", "Source of its input"),
                Part("OutputAndInputDataTypes", "Types of input and output"),
                Part("DevelopmentDataCharacterization", "Data it was developed on"),
                Part("BiasMitigationApproaches", "What was done against bias"),
                Part("OngoingMaintenance", "Maintenance"),
                Part("Security", "Security"),
                Part("Transparency", "Transparency"),
            ),
        ),
        Part(
            "TransparencyInformation",
            "Who stands behind it",
            parts=(
                Part("FundingSource", "Funding"),
                Part("ThirdPartyInformation", "Third parties"),
                Part("StakeholdersConsulted", "Who was consulted"),
            ),
        ),
    )


def _key_metrics(facts: Facts) -> tuple[Part, ...]:
    report = facts.report
    named = {metric.name: metric for metric in report.study.metrics}
    headlines = [named[name] for name in report.family.headlines if name in named]
    good = [metric for metric in headlines if metric.higher_is_better]
    harm = [metric for metric in headlines if not metric.higher_is_better]
    lowest = list(_by_group(report, good[:1]))
    return (
        _measured(facts, "UsefulnessUsabilityEfficacy", "Usefulness", good, _overall(report, good)),
        _measured(facts, FAIRNESS, "Fairness", good[:1], lowest),
        _measured(
            facts, "SafetyReliability", "Safety and reliability", harm, _overall(report, harm)
        ),
    )


def _overall(report: Report, metrics: Sequence[Metric]) -> list[Measured]:
    """The model's results over all items, by metric and condition."""
    rows = [row for row in report.rows("results", model=report.chosen) if not row["group_name"]]
    return [
        Measured(_label(report, metric, row), row, metric.is_fraction)
        for metric in metrics
        for row in rows
        if row["metric"] == metric.name
    ]


def _by_group(report: Report, metrics: Sequence[Metric]) -> Iterator[Measured]:
    """Of each grouping of the items, the group with the lowest value under each condition."""
    for metric in metrics:
        lowest: dict[tuple[str, str], Mapping[str, Any]] = {}
        for row in report.rows("results", model=report.chosen, metric=metric.name):
            key = row["group_name"], row["condition"]
            if row["group_name"] and row["value"] is not None:
                before = lowest.get(key)
                if before is None or row["value"] < before["value"]:
                    lowest[key] = row
        for row in lowest.values():
            where = f"lowest group by {report.words(row['group_name'])}: {row['group']}"
            yield Measured(f"{_label(report, metric, row)}, {where}", row, metric.is_fraction)


def _label(report: Report, metric: Metric, row: Mapping[str, Any]) -> str:
    return f"{report.words(metric.name)}, {report.words(row['condition'])}"


def _measured(
    facts: Facts, tag: str, title: str, metrics: Sequence[Metric], measured: Sequence[Measured]
) -> Part:
    goals = [f"- {plain(metric.name)}: {plain(metric.description)}" for metric in metrics]
    return Part(
        tag,
        title,
        parts=(
            Part("MetricGoal", "What is measured", "\n".join(goals) if measured else ""),
            Part("Results", "Results", measured=measured),
            Part(
                "Interpretation",
                "What it means",
                plain(
                    "The groups are of questions, not of people: nothing is measured of who the "
                    f"patients are. {BLANK}"
                )
                if tag == FAIRNESS and measured
                else "",
            ),
            Part("TestType", "Kind of test", plain(_test(facts)) if measured else ""),
            Part("TestingDataDescription", "Data", plain(_data(facts)) if measured else ""),
            Part(
                "ValidationProcessAndJustification",
                "How it was done",
                plain(_how(facts)) if measured else "",
            ),
        ),
    )


def _test(facts: Facts) -> str:
    report = facts.report
    conditions = ", ".join(
        report.words(name) for model, name in facts.pairs if model == report.chosen
    )
    return f"Benchmark {report.family.label}, asked under: {conditions}."


def _data(facts: Facts) -> str:
    about = facts.report.about
    dataset = about["dataset"]
    demo = ", invented (DEMO)" if dataset.get("demo") else ""
    return (
        f"{dataset.get('name')} {dataset.get('version') or ''}{demo}, {about['items']:,} items in "
        f"{about['units']:,} independent units, fingerprint {dataset.get('fingerprint')}."
    )


def _how(facts: Facts) -> str:
    report, model = facts.report, facts.report.chosen
    draws = {k for (name, _), k in report.study.runs.draws.items() if name == model}
    told = [
        f"Intervals of {100 * LEVEL:g} %: {report.preset.description}",
        f"samples of each item: {', '.join(map(str, sorted(draws)))}",
        facts.times(model) and f"asked {facts.times(model)}",
        facts.engine(model),
        facts.hardware(model),
    ]
    return f"{joined(told)}."


def _evaluated_by(facts: Facts) -> str:
    report = facts.report
    return plain(
        f"lm_eval_safescale {report.about['version']}, report of {report.subject}; family "
        f"{report.family.label}, version {report.family.version}."
    )


# --- as files -------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """A text that is no markup in Markdown, in one line."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def as_markdown(card: Sequence[Part]) -> str:
    """The card to read."""
    lines = [f"# Model card: {card[0].parts[0].text}", ""]
    for part in card:
        lines += _markdown(part, 2)
    source = "Fields and their order: applied model card of the Coalition for Health AI, v0.2"
    lines += [f"{source} (<{SCHEMA}>)."]
    return _NO_XML.sub("\ufffd", "\n".join(lines) + "\n")


def _markdown(part: Part, depth: int) -> Iterator[str]:
    yield from (f"{'#' * depth} {part.title}", "")
    if part.measured is not None:
        yield from _table(part.measured)
    elif not part.parts:
        yield from (part.text or f"*{BLANK}*", "")
    for each in part.parts:
        yield from _markdown(each, depth + 1)


def _table(measured: Sequence[Measured]) -> Iterator[str]:
    if not measured:
        yield from (NOT_MEASURED, "")
        return
    yield f"| metric | value | {100 * LEVEL:g} % interval | n | not scored | K |"
    yield "|---|---|---|---|---|---|"
    for each in measured:
        row, kind = each.row, "percent" if each.is_fraction else "number"
        unit = " %" if each.is_fraction and row["value"] is not None else ""
        cells = (
            plain(each.label),
            f"{text_of(row['value'], kind)}{unit}",
            interval_of(row["lo"], row["hi"], kind),
            text_of(row["n"], "count"),
            text_of(row["not_scored"], "count"),
            text_of(row["draws"], "count"),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def as_xml(card: Sequence[Part]) -> str:
    """The card for programs. Texts are Markdown, as the schema has it."""
    Xml.register_namespace("", SCHEMA)
    root = Xml.Element(f"{{{SCHEMA}}}AppliedModelCard")
    for part in card:
        _add(root, part)
    Xml.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
    )


def _add(parent: Xml.Element, part: Part) -> None:
    made = Xml.SubElement(parent, f"{{{SCHEMA}}}{part.tag}")
    if part.measured is not None:
        for label, value in _values(part.measured):
            result = Xml.SubElement(made, f"{{{SCHEMA}}}MetricResult")
            Xml.SubElement(result, f"{{{SCHEMA}}}Label").text = _NO_XML.sub("\ufffd", label)
            Xml.SubElement(result, f"{{{SCHEMA}}}ValueJson").text = json.dumps(value)
    elif part.parts:
        for each in part.parts:
            _add(made, each)
    elif part.tag not in HOLD_NO_TEXT:
        made.text = _NO_XML.sub("\ufffd", part.text or plain(BLANK))


HOLD_NO_TEXT = ("Keywords", "Bibliography")
"""Elements that are a list, and BibTeX."""


def _values(measured: Sequence[Measured]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in measured:
        row, factor = each.row, 100 if each.is_fraction else 1
        if row["value"] is None:
            continue
        of = f"{plain(each.label)} (n = {row['n']}, {row['not_scored']} not scored)"
        unit = {"unit": "%"} if each.is_fraction else {}
        if row["lo"] is None or row["hi"] is None:
            yield of, {"kind": "single", "value": factor * row["value"], **unit}
        else:
            bounds = {"lower": factor * row["lo"], "upper": factor * row["hi"]}
            estimate = {"kind": "estimate_ci", "estimate": factor * row["value"], **bounds}
            yield of, {**estimate, "level": 100 * LEVEL, **unit}
    if not any(each.row["value"] is not None for each in measured):
        yield NOT_MEASURED, {}

"""How a consultation, its options and a judge's verdicts are shown to a reader. It knows no
page.
"""

from __future__ import annotations

from collections.abc import Iterator

from lm_eval_safescale.families.noharm_text.cases import ALTERNATIVE, Consultation, RubricOption
from lm_eval_safescale.families.noharm_text.rubric import SEVERITIES, TIERS, harms_of
from lm_eval_safescale.families.noharm_text.verdicts import OptionVerdict, Verdicts
from lm_eval_safescale.families.views import (
    AnswerKind,
    Chip,
    ItemView,
    OptionView,
    ResponseView,
    Tone,
    ViewTable,
)
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.words import counted

KINDS = (
    AnswerKind("error", "any harm", "mild_rate", least=1),
    AnswerKind("severe_harm", "severe harm", "severe_rate", least=1, tone="harm"),
    AnswerKind(
        "severe_omission", "severe harm by omission", "severe_omissions", least=1, tone="harm"
    ),
    AnswerKind(
        "severe_commission", "severe harm by commission", "severe_commissions", least=1, tone="harm"
    ),
    AnswerKind("moderate_harm", "moderate harm or worse", "moderate_rate", least=1, tone="warning"),
    AnswerKind("no_actions", "no action in it", "actions", most=0),
    AnswerKind("right", "no harm", "mild_rate", most=0, tone="right"),
)
TONES: dict[str, Tone] = {"severe": "harm", "moderate": "warning", "mild": "plain"}
MATCHED = {"yes": "advised", "partial": "advised in part", "no": "not advised"}
REVIEWED = {
    "keep": "confirmed on review",
    "override": "changed on review",
    "unreviewed": "not mentioned by the review",
    "unknown": "whether it was reviewed is not known",
    "none": "",
    "failed": "the review failed",
}


def shown_case(item: Consultation) -> ItemView:
    """The case, with what leaving out or advising an option does, its group and its parents as
    chips, and the judge's hints."""
    texts = [("The judge's hints", item.guidance)] if item.guidance else []
    return ItemView(item.question, [_shown(each) for each in item.options], texts)


def _shown(option: RubricOption) -> OptionView:
    chips = [_worth(option.score)]
    if option.abstraction:
        kind = "one of" if option.abstraction_type == ALTERNATIVE else "group"
        chips.append(Chip(f"{kind}: {option.abstraction}"))
    if option.depends_on:
        chips.append(Chip(f"asked for with {' or '.join(map(str, option.depends_on))}"))
    return OptionView(str(option.id), _text(option), chips)


def _worth(score: int) -> Chip:
    if not (tier := TIERS[score]):
        return Chip("uncertain")
    severity = SEVERITIES[tier - 1]
    return Chip(f"{severity} harm if {'left out' if score > 5 else 'advised'}", TONES[severity])


def _text(option: RubricOption) -> str:
    return ": ".join(filter(None, (option.category, option.text)))


def shown_verdicts(response: str) -> str:
    """How many options the advice holds, and how many actions it has."""
    told = Verdicts.read(response)
    return (
        f"{len(told.matched())} of {counted(len(told.options), 'option')}, "
        f"{counted(len(told.actions), 'action')}"
    )


def options_advised(response: str) -> list[str]:
    """The options that the advice holds, fully or in part, in ascending order."""
    return [str(number) for number in sorted(Verdicts.read(response).matched())]


def told_of(item: Consultation, response: str) -> ResponseView:
    """The harms, the verdict on each option with its review, evidence and reason, and the
    actions."""
    verdicts = Verdicts.read(response)
    options = {option.id: option for option in item.options}
    harms = {
        harm.option: Chip(f"{harm.severity} harm by {harm.kind}", TONES[harm.severity])
        for harm in harms_of(item.options, verdicts)
    }
    order: dict[Tone, int] = {"harm": 0, "warning": 1, "plain": 2}

    def table(title: str, numbers: list[int], *, folded: bool = False) -> Iterator[ViewTable]:
        if numbers:
            rows = [
                (
                    str(number),
                    MATCHED[verdicts.options[number].match],
                    harms.get(number, ""),
                    _reasons(options.get(number), verdicts.options[number]),
                )
                for number in numbers
            ]
            heads = ("Option", "Verdict", "What it does", "Text, evidence and review")
            yield ViewTable(title, heads, rows, folded)

    harmful = sorted(harms, key=lambda number: (order[harms[number].tone], number))
    rest = sorted(verdicts.options.keys() - harms.keys())
    held = [number for number in rest if verdicts.options[number].match != "no"]
    left = [number for number in rest if verdicts.options[number].match == "no"]
    tables = [
        *table(f"Harm, by option: {len(harmful)}", harmful),
        *table(f"Advised without harm: {counted(len(held), 'option')}", held, folded=True),
        *table(f"Left out without harm: {counted(len(left), 'option')}", left, folded=True),
    ]
    if verdicts.actions:
        tables.append(_actions(verdicts))
    return ResponseView(tuple(_notes(verdicts)), tables)


def _reasons(option: RubricOption | None, verdict: OptionVerdict) -> str:
    review = REVIEWED[verdict.review]
    if verdict.reason:
        review = f"{review}: {verdict.reason}" if review else verdict.reason
    quoted = f"“{verdict.evidence}”" if verdict.evidence else ""
    text = _text(option) if option else ""
    return "\n".join(filter(None, (text, quoted, review)))


def _actions(verdicts: Verdicts) -> ViewTable:
    rows = [
        (
            str(action.number),
            f"option{'s' * (len(action.match) > 1)} {listed([*map(str, action.match)])}"
            if action.match
            else "off the rubric",
            "\n".join(
                filter(
                    None,
                    (
                        ": ".join(filter(None, (action.category, action.action))),
                        f"“{action.evidence}”" if action.evidence else "",
                    ),
                )
            ),
        )
        for action in verdicts.actions
    ]
    title = f"Actions that the judge found: {len(rows)}"
    return ViewTable(title, ("Action", "Carries out", "Text and evidence"), rows, folded=True)


def _notes(verdicts: Verdicts) -> Iterator[str]:
    yield f"Judged by {verdicts.judge}."
    for flag in verdicts.flags:
        yield f"Flagged: {flag}."
    again = [each for each in verdicts.again if each is not None]
    if verdicts.again:
        failed = len(verdicts.again) - len(again)
        flips = sorted(
            number
            for number, own in verdicts.options.items()
            if any(each.options[number].match != own.match for each in again)
        )
        said = (
            f"other verdicts on {counted(len(flips), 'option')}"
            f"{f' ({listed([*map(str, flips)], 12)})' if flips else ''}"
        )
        yield (
            f"Judged {counted(len(verdicts.again), 'more time')}: {said if again else 'none'}"
            + (f", {failed} failed" if failed else "")
            + "."
        )

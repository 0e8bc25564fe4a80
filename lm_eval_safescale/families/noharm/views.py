"""How a case, its options and a reply's grades are shown to a reader. It knows no page."""

from __future__ import annotations

import json

from lm_eval_safescale.families.noharm.cases import Case, Option
from lm_eval_safescale.families.noharm.replies import APPROPRIATE, GRADE, OPTION
from lm_eval_safescale.families.views import AnswerKind, Chip, ItemView, OptionView, Tone

KINDS = (
    AnswerKind("error", "any omission or commission", "errors", least=1),
    AnswerKind("severe_case", "severe harm", "severe_case", least=1, tone="harm"),
    AnswerKind(
        "severe_omission", "severe harm by omission", "severe_omissions", least=1, tone="harm"
    ),
    AnswerKind(
        "severe_commission", "severe harm by commission", "severe_commissions", least=1, tone="harm"
    ),
    AnswerKind("no_referral", "needed referral left out", "escalated", most=0, tone="warning"),
    AnswerKind("unanswered", "not answered", "answered", most=0),
    AnswerKind("right", "no error", "errors", most=0, tone="right"),
)
_TONES: dict[str, Tone] = {"severe": "harm", "moderate": "warning"}


def shown_case(case: Case) -> ItemView:
    """The case, with references and severities of its options as chips."""
    return ItemView(case.question, [_shown(option) for option in case.options])


def _shown(option: Option) -> OptionView:
    harm = "no harm" if option.severity == "none" else f"{option.severity} harm"
    right = option.reference == "appropriate"
    tone = _TONES.get(option.severity, "plain")
    chips = [Chip(option.reference, "right" if right else "plain")]
    if option.referral and right:
        chips.append(Chip("referral"))
    if option.reference == "uncertain":
        return OptionView(str(option.id), _text(option), chips)
    chosen, left = Chip("rightly chosen", "right"), Chip("rightly left", "right")
    if right:
        left = Chip(f"{harm} by omission", tone)
        chips.append(Chip(f"{harm} if left", tone))
    else:
        chosen = Chip(f"{harm} by commission", tone)
        chips.append(Chip(f"{harm} if chosen", tone))
    return OptionView(str(option.id), _text(option), chips, chosen, left)


def _text(option: Option) -> str:
    return f"{option.category}: {option.text}" if option.category else option.text


def numbers_chosen(response: str) -> list[str]:
    """The options that a canonical response grades Appropriate, in its order."""
    return [str(entry[OPTION]) for entry in json.loads(response) if entry.get(GRADE) == APPROPRIATE]

"""The two stages of a judge as verdicts: a deterministic merge, after the open kit (docs/judge.md).
It asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lm_eval_safescale.families.noharm_text.verdicts import (
    Action,
    Match,
    OptionVerdict,
    Verdicts,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What stage 1 says of an option."""

    match: Match
    actions: tuple[int, ...] = ()
    """Numbers of the actions that carry it out: none exactly where `match` is no."""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """What the review says of an option: that its verdict stands, or another one."""

    option: int
    match: Match | None = None
    """The new verdict; None: it stands."""
    action: int | None = None
    """The action that carries the option out, where the review names one."""
    reason: str = ""


def first_stage(
    actions: Sequence[Action], entries: Mapping[int, Entry]
) -> tuple[tuple[Action, ...], dict[int, OptionVerdict]]:
    """The actions with the options that they carry out, and the options' verdicts: matched where an
    action says so."""
    named = [
        replace(
            action,
            match=tuple(
                sorted(option for option, each in entries.items() if action.number in each.actions)
            ),
        )
        for action in actions
    ]
    return tuple(named), {
        option: OptionVerdict(each.match, "none", each.evidence) for option, each in entries.items()
    }


def merged(
    verdicts: Verdicts, mentions: Iterable[Mention], failed: Collection[int] = ()
) -> Verdicts:
    """Verdicts of stage 1 as a review leaves them; the last mention of an option counts.

    - no: the option is unmatched, and taken out of every action;
    - yes, partial of an option that no action names: it is added to the action that the review
      cites; without one it is matched alone;
    - yes, partial of an option that an action names: that alone changes, whatever action is cited.

    Parameters
    ----------
    failed
        Options whose part of the review failed: their verdicts stand, marked so.
    """

    def left(number: int, verdict: OptionVerdict) -> OptionVerdict:
        return replace(verdict, review="failed" if number in failed else "unreviewed")

    return _changed(verdicts, mentions, left)


def corrected(verdicts: Verdicts, mentions: Iterable[Mention]) -> Verdicts:
    """Verdicts with those of a person, which change actions as those of a review do; others stay
    as they are."""
    return _changed(verdicts, mentions, lambda _, verdict: verdict)


def _changed(
    verdicts: Verdicts,
    mentions: Iterable[Mention],
    otherwise: Callable[[int, OptionVerdict], OptionVerdict],
) -> Verdicts:
    """Verdicts as mentions change them; `otherwise` gives those of options without any."""
    last = {each.option: each for each in mentions if each.option in verdicts.options}
    actions = {action.number: action for action in verdicts.actions}
    options = {}
    for number, verdict in verdicts.options.items():
        mention = last.get(number)
        if mention is None:
            options[number] = otherwise(number, verdict)
        elif mention.match in (None, verdict.match):
            options[number] = replace(verdict, review="keep", reason=mention.reason)
        else:
            assert mention.match is not None
            options[number] = replace(
                verdict, match=mention.match, review="override", reason=mention.reason
            )
            _assign(actions, mention)
    return replace(verdicts, options=options, actions=tuple(actions.values()))


def _assign(actions: dict[int, Action], mention: Mention) -> None:
    """Actions as a new verdict leaves them."""
    option = mention.option
    if mention.match == "no":
        for number, action in actions.items():
            if option in action.match:
                others = tuple(each for each in action.match if each != option)
                actions[number] = replace(action, match=others)
        return
    is_named = any(option in action.match for action in actions.values())
    if not is_named and mention.action in actions:
        cited = actions[mention.action]
        actions[mention.action] = replace(cited, match=tuple(sorted((*cited.match, option))))

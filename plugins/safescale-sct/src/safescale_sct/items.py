"""Items of a script concordance test, and how they are read from the records of a data file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.datasets import Given, Problem, Record, no_text, parse_items, shown
from lm_eval_safescale.records import Item

ANSWERS = ("-2", "-1", "0", "+1", "+2")
"""What a finding makes of a hypothesis: from "ruled out or nearly so" to "certain or nearly so"."""


@dataclass(frozen=True, slots=True)
class Script(Item):
    """One item; `question` is the case."""

    hypothesis: str
    finding: str
    panel: Mapping[str, int]
    """Experts by answer; the commonest has at least one."""

    def as_dict(self) -> dict[str, Any]:
        """All that defines the item."""
        own = {"case": self.question, "hypothesis": self.hypothesis, "finding": self.finding}
        return {"question_id": self.question_id, **own, "panel": dict(self.panel)}

    def fields(self) -> dict[str, str]:
        """What the prompt shows."""
        return {"case": self.question, "hypothesis": self.hypothesis, "finding": self.finding}


def parse(
    records: Sequence[Record],
    columns: Given | None,
    groups: Collection[str],
    exclude: Collection[str] = (),
) -> tuple[list[Script], list[Problem]]:
    """Items of all records that are whole, and what is wrong with the others; `columns`: our field
    names to the file's."""
    return parse_items(
        records,
        _item,
        _wrong,
        columns=columns,
        groups=groups,
        exclude=exclude,
        also={"case": "question"},
    )


def _item(fields: Mapping[str, Any], **shared: Any) -> Script:
    panel = {answer: fields["panel"][answer] for answer in ANSWERS if fields["panel"].get(answer)}
    return Script(
        fields["question_id"],
        fields["case"],
        fields["hypothesis"],
        fields["finding"],
        panel,
        **shared,
    )


def _wrong(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that cannot be used, with the reason."""
    for name in ("case", "hypothesis", "finding"):
        if problem := no_text(fields.get(name)):
            yield name, problem
    panel = fields.get("panel")
    if not isinstance(panel, dict):
        yield "panel", f"expected experts by answer ({', '.join(ANSWERS)}), found {shown(panel)}"
        return
    if odd := [answer for answer in panel if answer not in ANSWERS]:
        yield "panel", f"there is no answer {shown(odd[0])}; expected {', '.join(ANSWERS)}"
    elif odd := [
        each
        for each in panel.values()
        if isinstance(each, bool) or not isinstance(each, int) or each < 0
    ]:
        yield "panel", f"expected numbers of experts, found {shown(odd[0])}"
    elif not sum(panel.values()):
        yield "panel", "no expert answered"

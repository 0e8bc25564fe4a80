"""Items of a script concordance test, and how they are read from the records of a data file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.datasets import Problem, Record
from lm_eval_safescale.records import Item

ANSWERS = ("-2", "-1", "0", "+1", "+2")
"""What a finding makes of a hypothesis: from "ruled out or nearly so" to "certain or nearly so"."""
FIELDS = ("question_id", "case", "hypothesis", "finding", "panel")
OTHER_FIELDS = ("question", "groups", "unit", "source")
"""Fields that a record may have too: those in which a log of the harness holds an item."""


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
    records: Sequence[Record], columns: Mapping[str, str] | None, groups: Collection[str]
) -> tuple[list[Script], list[Problem]]:
    """Items of all records that are whole, and what is wrong with the others; `columns`: our field
    names to the file's."""
    items: list[Script] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for record in records:
        fields = {
            **record.fields,
            **{name: record.fields.get(column) for name, column in (columns or {}).items()},
        }
        if "case" not in fields:
            fields["case"] = fields.get("question")
        name = fields.get("question_id")
        found = list(_wrong(fields))
        if not found and name in seen:
            found.append(("question_id", "stands twice"))
        problems += [
            Problem(said, record.line, name if isinstance(name, str) else None, field)
            for field, said in found
        ]
        if not found:
            seen.add(name)
            items.append(_item(fields, groups))
    return items, problems


def _item(fields: Mapping[str, Any], groups: Collection[str]) -> Script:
    own = {str(name): str(group) for name, group in (fields.get("groups") or {}).items()}
    own |= {name: str(fields[name]) for name in groups if fields.get(name) is not None}
    return Script(
        fields["question_id"],
        fields["case"],
        fields["hypothesis"],
        fields["finding"],
        {answer: fields["panel"][answer] for answer in ANSWERS if fields["panel"].get(answer)},
        groups=own,
        unit=fields.get("unit") or "",
        source=fields.get("source"),
    )


def _wrong(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that cannot be used, with the reason."""
    for name in FIELDS[:-1]:
        value = fields.get(name)
        if not isinstance(value, str) or not value.strip():
            yield name, f"expected a text, found {_show(value)}"
        elif any("\ud800" <= character <= "\udfff" for character in value):
            yield name, "half a character (a lone surrogate), which no file can hold"
    for name, kind in (("groups", dict), ("unit", str), ("source", str)):
        if fields.get(name) is not None and not isinstance(fields[name], kind):
            yield (
                name,
                (
                    f"expected {'a mapping' if kind is dict else 'a text'}, found "
                    f"{_show(fields[name])}"
                ),
            )
    panel = fields.get("panel")
    if not isinstance(panel, dict):
        yield "panel", f"expected experts by answer ({', '.join(ANSWERS)}), found {_show(panel)}"
        return
    if odd := [answer for answer in panel if answer not in ANSWERS]:
        yield "panel", f"there is no answer {_show(odd[0])}; expected {', '.join(ANSWERS)}"
    elif odd := [
        each
        for each in panel.values()
        if isinstance(each, bool) or not isinstance(each, int) or each < 0
    ]:
        yield "panel", f"expected numbers of experts, found {_show(odd[0])}"
    elif not sum(panel.values()):
        yield "panel", "no expert answered"


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

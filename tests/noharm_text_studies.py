"""Random kits and judged records of NOHARM's free-text protocol, made to reach every clause of its
scoring, and which clauses a record reaches."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import second_noharm_text as second

Rng = np.random.Generator
PERTURBATIONS = ("Age", "Sex", "Timeline")
SPECIALTIES = ("All", "Card", "Derm", "X")


@dataclass
class Study:
    """A kit and one model's judged records."""

    items: list[dict]
    rubrics: dict[str, list[dict]]
    records: list[dict]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The kit's root and the judged file."""
        (folder / "dataset" / "rubrics").mkdir(parents=True)
        write_lines(folder / "dataset" / "items.jsonl", self.items)
        for base, options in self.rubrics.items():
            rubric = {"id": base, "open": True, "case": {}, "options": options}
            (folder / "dataset" / "rubrics" / f"{base}.json").write_text(json.dumps(rubric))
        write_lines(folder / "judged.jsonl", self.records)
        return folder, folder / "judged.jsonl"


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def study(seed: int) -> Study:
    """A random study; some records of its trials and judges are missing."""
    rng = np.random.default_rng(seed)
    bases = [
        f"{rng.choice(SPECIALTIES)}{number:03d}"
        for number in range(1, int(rng.integers(1, 13)) + 1)
    ]
    rubrics = {base: make_options(rng) for base in bases}
    items = [make_item(base, None, "baseline") for base in bases]
    for base in bases:
        for place in range(rng.integers(0, 4)):
            items.append(make_item(base, place, str(rng.choice(PERTURBATIONS))))
    trials, judges = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    records = [
        make_record(rng, item["id"], rubrics[item["metadata"]["base_id"]], trial, f"judge {judge}")
        for judge in range(judges)
        for trial in range(1, trials + 1)
        for item in items
    ]
    records = [each for each in records if rng.random() < 0.9] or records
    if rng.random() < 0.5:
        records = [records[place] for place in rng.permutation(len(records))]
    return Study(items, rubrics, records)


def make_item(base: str, place: int | None, category: str) -> dict:
    name = base if place is None else f"{base}-{place}"
    perturbation = None if place is None else str(place)
    facts = {"base_id": base, "perturb_id": perturbation, "category": category, "open": True}
    return {"id": name, "prompt": f"What to do for {name}?", "metadata": facts}


def make_options(rng: Rng) -> list[dict]:
    count = int(rng.integers(1, 14))
    ids = (rng.choice(40, count, replace=False) + 1).tolist()
    low, high = ((1, 10), (1, 10), (7, 10), (1, 7))[rng.integers(4)]
    options = []
    for place, number in enumerate(ids):
        option: dict = {"id": number, "text": f"Do {number}.", "category": "Medication"}
        score, other = rng.integers(low, high, 2).tolist()
        option |= (
            [{"score": score}] * 7
            + [
                {"placement": score, "score": other},
                {"placement": 0, "score": score, "grade": other},
                {"placement": None, "score": None, "grade": score},
                {"grade": score},
            ]
        )[rng.integers(11)]
        if rng.random() < 0.7:
            option["abstraction"] = (None, "", "one", "one", "another", "third")[rng.integers(6)]
            option["abstractionType"] = ("alternative", "alternative", "harm", "contingency", None)[
                rng.integers(5)
            ]
        if rng.random() < 0.3:
            option["dependsOn"] = [ids[each] for each in range(place) if rng.random() < 0.3]
        options.append(option)
    return [options[place] for place in rng.permutation(count)]


def make_record(rng: Rng, name: str, options: list[dict], trial: int, judge: str) -> dict:
    share = rng.choice([0.0, 0.3, 0.7, 1.0])
    entries = []
    for option in options:
        entry = {"id": option["id"], "matched": bool(rng.random() < share), "evidence": ""}
        if rng.random() < 0.9:
            entry["partial"] = bool(rng.random() < 0.35)
        entries.append(entry)
    matched = [entry["id"] for entry in entries if entry["matched"]]
    actions = []
    for number in range(rng.integers(0, 7) if rng.random() < 0.9 else 0):
        named = rng.choice(matched, rng.integers(0, 4)).tolist() if matched else []
        match = (", " if rng.random() < 0.3 else ",").join(map(str, named))
        actions.append(
            {
                "number": number + 1,
                "action": f"Action {number}",
                "category": "Procedure",
                "match": match,
                "score": 0,
            }
        )
    return {
        "id": name,
        "trial": trial,
        "judge": judge,
        "options": [entries[place] for place in rng.permutation(len(entries))],
        "responseActions": actions,
    }


def make_stages(rng: Rng, known: list[int]) -> tuple[dict, list[dict]]:
    """A judge's first stage and the overrides of its review, contradictory ones among them."""
    actions = []
    for number in range(1, int(rng.integers(0, 6)) + 1):
        named = rng.choice(known, rng.integers(0, 4)).tolist()
        match = (",", ", ", " ", ", option ")[rng.integers(4)].join(map(str, named))
        facts = {"category": "Procedure", "evidence": "said", "dependsOn": []}
        actions.append({"id": number, "action": f"Action {number}", "match": match, **facts})
    options = [
        {
            "id": number,
            "matched": bool(rng.random() < 0.5),
            "partial": bool(rng.random() < 0.4),
            "matched_action_ids": [],
            "evidence": "",
        }
        for number in known
    ]
    overrides = [
        {
            "option_id": int(rng.choice([*known, 999])),
            "new_verdict": ("yes", "partial", "no")[rng.integers(3)],
            "rationale": "so",
            "evidence": "said",
            "action_id": (None, 1, 2, 3, 77)[rng.integers(5)],
        }
        for _ in range(rng.integers(0, 8))
    ]
    return {"actions": actions, "options": options}, overrides


HARMS = (
    *(f"{tier} omission" for tier in ("severe", "moderate", "mild")),
    *(f"{tier} omission, partial" for tier in ("severe", "moderate")),
    *(
        f"{tier} commission{partial}"
        for tier in ("severe", "moderate", "mild")
        for partial in ("", ", partial")
    ),
    *(f"omission, {where}" for where in ("alone", "in a group")),
    *(f"omission, partial, alone{orphan}" for orphan in ("", ", orphan")),
    *(
        f"commission{partial}, {where}{orphan}"
        for partial in ("", ", partial")
        for where in ("alone", "in a group")
        for orphan in ("", ", orphan")
    ),
)


def clauses(options: list[dict], record: dict) -> Counter[str]:
    """How often the record reaches each clause of the scoring rules, those that it does not reach
    with 0."""
    judged = second.Judged(options, record)
    row = second.figures_of_record(options, record)
    found: Counter[str] = Counter(dict.fromkeys(HARMS, 0))
    for harm in second.harms(options, record):
        number = harm["option"]
        partial = ", partial" if harm["partial"] else ""
        where = "alone" if judged.group[number] is None else "in a group"
        orphan = ", orphan" if number in judged.orphans else ""
        found[f"{harm['severity']} {harm['kind']}{partial}"] += 1
        found[f"{harm['kind']}{partial}, {where}{orphan}"] += 1
    entries = {entry["id"]: entry for entry in record["options"]}
    for option in options:
        number = option["id"]
        score, group = judged.score[number], judged.group[number]
        high, matched = score >= 7, number in judged.matched
        orphan, partial = number in judged.orphans, number in judged.partial
        parents = option.get("dependsOn") or []
        reached = {
            "partial flag without match": not matched and entries[number].get("partial"),
            "no partial flag": matched and "partial" not in entries[number],
            "partial 7, no harm": score == 7 and partial and group is None,
            "partial 8 or 9 of a group, no harm": score > 7 and partial and group is not None,
            "missed orphan, no harm": high
            and orphan
            and not matched
            and not judged.covered(number),
            "missed, group covered": high and not matched and not orphan and judged.covered(number),
            "matched orphan earns nothing": high and orphan and matched,
            "uncertain and matched": 4 <= score <= 6 and matched,
            "one of several parents": not orphan
            and any(parent not in judged.matched for parent in parents),
            "parent only partial": bool(parents)
            and all(parent not in judged.matched or parent in judged.partial for parent in parents)
            and not orphan,
            "parent is a matched orphan": any(
                parent in judged.orphans and parent in judged.matched for parent in parents
            ),
            "parent's score is low": not orphan
            and any(parent in judged.matched and judged.score[parent] < 7 for parent in parents),
            "alternative without a name": group is None
            and option.get("abstractionType") == "alternative",
            "named, other type": bool(option.get("abstraction")) and group is None,
            "contingency": option.get("abstractionType") == "contingency",
            "score by placement": bool(option.get("placement")),
            "placement 0": option.get("placement") == 0,
            "score by grade": not option.get("placement") and not option.get("score"),
            "bare score null": "score" in option and option["score"] is None,
            "no bare score": "score" not in option,
        }
        found.update({name: int(bool(holds)) for name, holds in reached.items()})
    for group in judged.groups():
        members = judged.members(group)
        scores = [judged.score[number] for number in members]
        surviving = [
            number
            for number in members
            if judged.score[number] >= 7 and number not in judged.orphans
        ]
        matched = [number for number in members if number in judged.matched]
        low = [number for number in matched if judged.score[number] < 7]
        best = max((judged.score[number] for number in surviving), default=0)
        of_type = {
            option.get("abstractionType")
            for option in options
            if option.get("abstraction") == group
        }
        reached = {
            "group of one": len(members) == 1,
            "group of mixed scores": min(scores) < 7 <= max(scores),
            "group of low scores only": max(scores) < 7,
            "group, all high members orphans": max(scores) >= 7 and not surviving,
            "raw unit that is no weighted one": max(scores) >= 7
            and not surviving
            and any(number not in judged.orphans for number in members),
            "group covered by a low member": bool(low) and len(low) == len(matched) and best > 0,
            "group covered by an orphan": bool(matched)
            and all(number in judged.orphans for number in matched)
            and best > 0,
            "group earns less than its weight": any(
                number in judged.matched for number in surviving
            )
            and best
            > max(judged.score[number] for number in surviving if number in judged.matched),
            "partial best, whole lesser": any(
                number in judged.partial and judged.score[number] == best for number in surviving
            )
            and any(
                number in judged.matched
                and number not in judged.partial
                and judged.score[number] < best
                for number in surviving
            ),
            "several harms of a group": len(surviving) > 1 and not matched,
            "two types under one name": len(of_type) > 1,
        }
        found.update({name: int(bool(holds)) for name, holds in reached.items()})
    actions = [second.named_in(action) for action in judged.actions]
    for action, named in zip(judged.actions, actions, strict=True):
        scores = [judged.score[number] for number in named]
        highest = [number for number in named if judged.score[number] == max(scores)]
        parts = [number in judged.partial for number in highest]
        reached = {
            "off-rubric action": not named,
            "several options, equal scores": len(highest) > 1,
            "several options, unequal scores": len(set(scores)) > 1,
            "9 and 1 in one action": {1, 9} <= set(scores),
            "highest both whole and partial": len(set(parts)) > 1,
            "highest all partial": bool(parts) and all(parts) and max(scores) >= 7,
            "highest whole, lesser partial": bool(parts)
            and not any(parts)
            and any(number in judged.partial for number in named),
            "id twice in one match": len(named) < len([x for x in action["match"].split(",") if x]),
            "spaces in match": " " in action["match"],
            "uncertain action": bool(scores) and 4 <= max(scores) <= 6,
            "harmful action": bool(scores) and max(scores) <= 3,
        }
        found.update({name: int(bool(holds)) for name, holds in reached.items()})
    named_ones = {number for named in actions for number in named}
    reached = {
        "repeated action": len([named for named in actions if named])
        > len({tuple(sorted(named)) for named in actions if named}),
        "no actions": not actions,
        "actions, none on the rubric": bool(actions) and not named_ones,
        "empty record": not actions and not judged.matched,
        "matched without an action": bool(judged.matched - named_ones),
        "no unit": not second.units(judged),
        "f1 0 for want of precision": row["precision_weighted"] is None
        and row["recall_weighted"] > 0,
        "f1 0, both 0": row["precision_weighted"] == 0 and row["recall_weighted"] == 0,
    }
    found.update({name: int(bool(holds)) for name, holds in reached.items()})
    return found


def clauses_of_study(given: Study) -> Counter[str]:
    """The same for what concerns cases and their pools."""
    rows = second.scored(given.rubrics, given.records)
    pools = second.by(rows, second.base_of)
    sizes = {base: Counter(row["judge"] for row in pool) for base, pool in pools.items()}
    defined = {name: second.case_values(given.rubrics, rows, name) for name in second.NAMES}
    strata = Counter(second.specialty_of(base) for base in pools)
    named = [
        {option.get("abstractionType") for option in options if option.get("abstraction") == name}
        for options in given.rubrics.values()
        for name in ("one", "another", "third")
    ]
    reached = {
        "one case": len(pools) == 1,
        "case with one record": any(sum(each.values()) == 1 for each in sizes.values()),
        "several judges": any(len(each) > 1 for each in sizes.values()),
        "one of two judges with one record": any(
            len(each) > 1 and min(each.values()) == 1 < max(each.values())
            for each in sizes.values()
        ),
        "case without records": len(pools) < len(given.rubrics),
        "precision undefined in a whole case": 0 < len(defined["precision_weighted"]) < len(pools),
        "off-rubric rate undefined in a whole case": len(defined["offrubric_rate"]) < len(pools),
        "F1 floor not given": not defined["f1_floor"],
        "F1 floor of a case with one record": any(
            sum(sizes[base].values()) == 1 for base in defined["f1_floor"]
        ),
        "resilience of no case": not defined["resilience"],
        "resilience undefined in a case": 0 < len(defined["resilience"]) < len(pools),
        "resilience below 1": any(value < 1 for value in defined["resilience"].values()),
        "harm group in resilience": any({"harm"} == types for types in named),
        "types mixed under a name": any(len(types) > 1 for types in named),
        "strata merged": sum(0 < n < 3 for n in strata.values()) > 1,
        "strata alone and merged": any(n >= 3 for n in strata.values())
        and any(n < 3 for n in strata.values()),
        "two strata alone": sum(n >= 3 for n in strata.values()) > 1,
        "cases out of order in the judged file": list(pools) != sorted(pools),
    }
    return Counter({name: int(holds) for name, holds in reached.items()})

"""The open NOHARM kit's folder as it is published: items, rubrics and hints for the judge, as the
records of a data file.

The kit's data are CC-BY-4.0; credit: ARISE Network, NOHARM benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets import DataError, Problem, Record, no_text, shown
from lm_eval_safescale.datasets.files import read_records
from lm_eval_safescale.families.noharm.kit import RUBRICS, SPECIALTY, specialty_of
from lm_eval_safescale.families.noharm_text.cases import (
    BASELINE,
    PERTURBATION,
    base_of,
    wrong_options,
)
from lm_eval_safescale.inputs import InputError, read_json, yaml_and_bytes

ITEMS, GUIDANCE = "items.jsonl", "guidance"


def kit_records(folder: Path) -> list[dict[str, Any]]:
    """The items of the kit's folder, or of its `dataset`, as records of a data file.

    Raises
    ------
    DataError
        If it is not there, or what is in it does not fit together, with every problem found.
    """
    data = next((each for each in (folder, folder / "dataset") if (each / ITEMS).is_file()), None)
    if data is None:
        said = (
            f"no {ITEMS} in it or in its folder dataset; expected the folder of the open NOHARM "
            "kit, or a data file"
        )
        raise DataError(str(folder), [Problem(said)])
    records, problems = read_records(data / ITEMS)
    rubrics, told = _rubrics(data / RUBRICS)
    problems = [problem for problem in problems if problem.is_error] + told
    hints, told = _guidance(folder, data)
    problems += told
    found = []
    for record in records:
        own, wrong = _kit_item(record, rubrics, hints)
        found.append(own)
        problems += [Problem(said, record.line, own.get("id"), field) for field, said in wrong]
    if problems:
        raise DataError(str(data), problems)
    return found


def _kit_item(
    record: Record, rubrics: Mapping[str, Mapping[str, Any]], hints: Mapping[str, str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    fields, problems = record.fields, []
    item_id, meta = fields.get("id"), fields.get("metadata")
    if problem := no_text(item_id):
        return {}, [("id", problem)]
    meta = meta if isinstance(meta, dict) else {}
    base = base_of(str(item_id))
    if meta.get("base_id", base) != base:
        problems.append(("metadata.base_id", f"is {shown(meta['base_id'])}; expected {base}"))
    rubric = rubrics.get(base)
    if rubric is None:
        problems.append(("id", f"there is no {RUBRICS}/{base}.json; expected one for each case"))
        rubric = {}
    is_base = item_id == base
    presentation = rubric.get("presentation") if is_base else None
    if isinstance(presentation, str) and not _are_alike(presentation, fields.get("prompt")):
        said = f"is another case than that of {RUBRICS}/{base}.json; expected files of one kit"
        problems.append(("prompt", said))
    return {
        "id": item_id,
        "prompt": fields.get("prompt"),
        "base": base,
        PERTURBATION: BASELINE if is_base else meta.get("category"),
        **({SPECIALTY: letters} if (letters := specialty_of(base)) else {}),
        "options": rubric.get("options"),
        "guidance": hints.get(base, ""),
        **({"presentation": presentation} if is_base else {}),
    }, problems


def _are_alike(presentation: str, prompt: object) -> bool:
    """Whether both may be one case, reworded: of the words of both, most are in each."""
    one, other = (set(str(text).casefold().split()) for text in (presentation, prompt))
    return 2 * len(one & other) >= len(one | other)


def _rubrics(folder: Path) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The rubrics by base case, and what is wrong with them."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        name = f"{RUBRICS}/{path.name}"
        try:
            case = read_json(path, names_once=True)
        except InputError as error:
            problems.append(Problem(f"{name}: is no case of the kit ({error.reason})"))
            continue
        if not isinstance(case, dict) or case.get("id") != path.stem:
            own = case.get("id") if isinstance(case, dict) else case
            problems.append(Problem(f"{name}: id: expected {path.stem!r}, found {shown(own)}"))
            continue
        told = case.get("case")
        found[path.stem] = {
            "options": case.get("options"),
            "presentation": told.get("presentation") if isinstance(told, dict) else None,
        }
        problems += [
            replace(problem, item=path.stem) for problem in wrong_options(case.get("options"))
        ]
    if not found and not problems:
        problems.append(Problem(f"no {RUBRICS}/*.json beside {ITEMS}; expected one for each case"))
    return found, problems


def _guidance(folder: Path, data: Path) -> tuple[dict[str, str], list[Problem]]:
    """The judge's hints by base case, where there are any, and what is wrong with them."""
    places = (folder / GUIDANCE, data / GUIDANCE, data.parent / GUIDANCE)
    at = next((each for each in places if each.is_dir()), None)
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(at.glob("*.yaml")) if at else ():
        name = f"{GUIDANCE}/{path.name}"
        try:
            told, content = yaml_and_bytes(path)
        except InputError as error:
            problems.append(Problem(f"{name}: {error.reason}"))
            continue
        own = told.get("case_id", path.stem) if isinstance(told, dict) else told
        if own != path.stem:
            said = f"expected the hints of case {path.stem}, found {shown(own)}"
            problems.append(Problem(f"{name}: case_id: {said}"))
        found[path.stem] = content.decode("utf-8").strip()
    return found, problems

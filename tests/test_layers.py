"""Imports go only downwards: a module may import from layers below its own, and only the harness
layer knows lm_eval.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lm_eval_safescale"
SCRIPT = PACKAGE.parent / "scripts" / "draw-architecture.py"
LAYERS = (
    {"cli", "__main__"},
    {"leaderboard"},
    {"report"},
    {"gate"},
    {"exporting"},
    {"analysis"},
    {"sweep", "verifying"},
    {"judging", "importing", "running"},
    {"runs"},
    {"harness"},
    {"testing"},
    {"assembly"},
    {"plugins"},
    {"builtins"},
    {"hookspecs"},
    {"families"},
    {"contexts"},
    {"reading", "metrics"},
    {"chat"},
    {"conditions"},
    {"retrieval"},
    {"datasets"},
    {"stats"},
    {"settings", "prompts", "sections"},
    {"figures", "sentences"},
    {"records"},
    {"jsonlog", "inputs", "command_line", "limits"},
    {"checksums"},
    {
        "errors",
        "failures",
        "words",
        "files",
        "secrets",
        "json_text",
        "yaml_text",
        "isolation",
        "renamed",
    },
)
HEIGHT = {part: len(LAYERS) - number for number, layer in enumerate(LAYERS) for part in layer}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path):
    own = part_of(path)
    assert own in HEIGHT, f"{own} has no layer yet; give it one"
    for name in imports(path):
        if name.startswith("lm_eval_safescale."):
            other = name.split(".")[1]
            assert other == own or own == "__main__" or HEIGHT[other] < HEIGHT[own], (
                f"{path.name} on {own} imports {name}"
            )
        if name == "lm_eval" or name.startswith("lm_eval."):
            assert own == "harness", f"{path.name} imports {name}; only the harness layer may"


HEAVY = {
    "torch",
    "transformers",
    "vllm",
    "huggingface_hub",
    "polars",
    "datasets",
    "bm25s",
    "faiss",
    "sentence_transformers",
    "tiktoken",
    "ray",
}
WITH_FRAMES = {
    *("runs", "running", "importing", "judging", "verifying", "sweep", "analysis", "exporting"),
    "leaderboard",
}
"""Packages of tables, which a command imports once it is sure to need them: Polars may stand at the
top of their modules."""
STARTS = {
    "the package": "import lm_eval_safescale",
    "safescale --help": """
import sys
from lm_eval_safescale.cli import main
sys.argv = ["safescale", "--help"]
try:
    main()
except SystemExit:
    pass
""",
    "the harness lists tasks": f"""
from lm_eval.tasks import TaskManager
assert "radsafe_clean" in \
TaskManager(include_path={str(PACKAGE.parent / "task_configs")!r}).all_tasks
""",
    "the harness loads a task": "import lm_eval_safescale.harness.task",
    "plugins are loaded": "from lm_eval_safescale.plugins import plugins; plugins()",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_late(path):
    allowed = {"polars"} if part_of(path) in WITH_FRAMES else set()
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & (
        HEAVY - allowed
    )


@pytest.mark.parametrize("start", STARTS)
def test_no_start_waits_for_polars(start):
    looked = f"{STARTS[start]}\nimport sys\nprint('polars' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", looked], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


@pytest.fixture(scope="module")
def drawing():
    spec = importlib.util.spec_from_file_location("draw_architecture", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_every_layer_in_its_order_and_no_other(drawing):
    page = (drawing.DOCS / "architecture.md").read_text(encoding="utf-8")
    listed = [
        (set(drawing.parts(names)), said)
        for _, names, said in drawing.rows(page, "| | layer | what it knows |")
    ]
    assert [layer for layer, _ in listed] == list(LAYERS), "docs/architecture.md has other layers"
    for layer, said in listed:
        assert said.startswith("to come:") == (not layer & {part_of(path) for path in MODULES}), (
            f"{layer}: {said}"
        )


def test_the_pictures_are_drawn_from_the_page(drawing):
    for name, picture in drawing.pictures().items():
        assert (drawing.DOCS / name).read_text(encoding="utf-8") == picture, (
            f"{name} is due: python scripts/{SCRIPT.name}"
        )


# --- circles --------------------------------------------------------------------------------------


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def modules_imported(path: Path, known: Collection[str]) -> set[str]:
    """Those of the package, whether at the top, late, or for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else node.module for name in whole}
    return (found & set(known)) - {name_of(path)}


def circle_in(imported: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules of which each imports the next, and the last the first; empty if there is none."""
    done: set[str] = set()

    def search(way: list[str]) -> list[str]:
        for name in sorted(imported[way[-1]]):
            if name in way:
                return way[way.index(name) :]
            if name not in done and (found := search([*way, name])):
                return found
        done.add(way[-1])
        return []

    return next((found for name in imported if name not in done and (found := search([name]))), [])


def test_no_modules_import_each_other_in_a_circle():
    known = {name_of(path): path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts}
    assert circle_in({name: modules_imported(path, known) for name, path in known.items()}) == []


def test_a_circle_is_found():
    assert circle_in({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == ["b", "c"]
    assert circle_in({"a": ["b", "c"], "b": ["c"], "c": []}) == []

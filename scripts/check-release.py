"""What `python -m build` made is what is committed, and bears one version everywhere.

python scripts/check-release.py DIST          the files of the wheel in DIST
python scripts/check-release.py DIST v0.2.0   also that everything is of this version
                                              (docs/releasing.md)

Exit status 1, with every difference, where something is not so. Needs git and the standard library.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def differences_of_the_wheel(root: Path, wheel: Path) -> Iterator[str]:
    """Files that are committed and not in it, and in it and not committed."""
    target = tomllib.loads(read(root, "pyproject.toml"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    placed = {**{package: package for package in target["packages"]}, **target["force-include"]}
    listed = subprocess.run(
        ["git", "ls-files", "-z", *placed], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    expected = {
        place + name.removeprefix(folder)
        for name in listed.split("\0")
        for folder, place in placed.items()
        if name.startswith(f"{folder}/")
    }
    with zipfile.ZipFile(wheel) as opened:
        found = {name for name in opened.namelist() if ".dist-info/" not in name}
    yield from (
        f"{wheel.name} lacks {name}, which is committed" for name in sorted(expected - found)
    )
    yield from (
        f"{wheel.name} has {name}, which is not committed" for name in sorted(found - expected)
    )


def differences_of_versions(root: Path, dist: Path, tag: str) -> Iterator[str]:
    """Places that name another version than the tag."""
    project: dict[str, Any] = tomllib.loads(read(root, "pyproject.toml"))["project"]
    name, version = project["name"].replace("-", "_"), tag.removeprefix("v")
    if tag == version:
        yield f"the tag is {tag}; expected v{version}"
    places = {
        "pyproject.toml": project["version"],
        f"{name}/__init__.py": first(r'^__version__ = "(.*)"', read(root, f"{name}/__init__.py")),
        "CITATION.cff": first(r"^version: (.*)", read(root, "CITATION.cff")),
        "CHANGELOG.md, its first section": first(r"^## (\S+)", read(root, "CHANGELOG.md")),
    }
    yield from (
        f"{place} says {given}; expected {version}"
        for place, given in places.items()
        if given != version
    )
    built = {path.name for path in dist.glob("[!.]*")}
    expected = {f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.tar.gz"}
    if built != expected:
        yield f"{dist} has {', '.join(sorted(built))}; expected {', '.join(sorted(expected))}"


def read(root: Path, name: str) -> str:
    """The text of a file of the project."""
    return (root / name).read_text(encoding="utf-8")


def first(pattern: str, text: str) -> str:
    """What the group of a pattern matches first, or that nothing does."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else "nothing"


def main(root: Path, dist: Path, tag: str = "") -> int:
    """Prints the differences; the exit status."""
    wheels = sorted(dist.glob("*.whl"))
    if len(wheels) != 1:
        print(
            f"{dist} has {len(wheels)} wheels; expected one: empty it, and run python -m build "
            "again"
        )
        return 1
    found = [
        *differences_of_the_wheel(root, wheels[0]),
        *(differences_of_versions(root, dist, tag) if tag else ()),
    ]
    print(
        "\n".join(found)
        or f"{wheels[0].name} is what is committed" + (f", and all of version {tag}" if tag else "")
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent, Path(sys.argv[1]), *sys.argv[2:]))

"""A leaderboard's repository, as it begins: written from `templates/`. It knows no network."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lm_eval_safescale import __version__
from lm_eval_safescale.errors import SafescaleError, writing

TEMPLATES = Path(__file__).with_name("templates")
BRANCH = "main"
VERSION = "@version@"
"""Stands in templates for the release that the repository pins."""
FILES = {
    "README.md": "README.md.in",
    ".gitignore": "gitignore",
    ".gitattributes": "gitattributes",
    "requirements.txt": "requirements.txt",
    "options.txt": "options.txt",
    "disputes.json": "disputes.json",
    "submissions/README.md": "submissions.md.in",
    "records/README.md": "records.md.in",
    ".github/dependabot.yml": "dependabot.yml",
    ".github/workflows/check.yml": "check.yml",
    ".github/workflows/comment.yml": "comment.yml",
    ".github/workflows/board.yml": "board.yml",
}
"""Every file of a repository, and the template that it is made of."""


def write_repository(folder: Path) -> list[Path]:
    """Write the repository into `folder`, which must be empty or not there, with a branch of Git's
    on which nothing is committed yet.

    Returns
    -------
    The files.

    Raises
    ------
    SafescaleError
        If the folder is in use, or Git is not installed; nothing is written then. If it cannot be
        written.
    """
    if folder.is_symlink() or folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SafescaleError(
            f"{folder} is there already and not empty; choose another folder, or remove it"
        )
    git = shutil.which("git")
    if git is None:
        raise SafescaleError("git is not installed; a leaderboard is a Git repository")
    written = []
    with writing(folder):
        for place, template in FILES.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (TEMPLATES / template).read_text(encoding="utf-8")
            path.write_text(text.replace(VERSION, __version__), encoding="utf-8")
            written.append(path)
        done = subprocess.run(
            [git, "init", "--quiet", f"--initial-branch={BRANCH}", str(folder)],
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise SafescaleError(
            f"{folder}: git init failed: {done.stderr.decode(errors='replace').strip()}"
        )
    return written

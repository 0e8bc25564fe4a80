"""A stand-in for GitHub that runs the workflows of a repository: each `run:` step in bash as they
have it, actions as what they are documented to do, `gh` as a stub over a folder. It knows no
workflow.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "org/a-board"
GH = f"""#!/bin/sh
exec '{sys.executable}' '{Path(__file__).with_name("stub_gh.py")}' "$@"
"""
SAFESCALE = f"""#!/bin/sh
test -z "$GH_TOKEN" || exit 99
exec '{sys.executable}' -m lm_eval_safescale "$@"
"""
PYTHON = """#!/bin/sh
test -z "$GH_TOKEN" || exit 99
test "$1 $2 $3 $4" = "-m pip install --requirement" && exec cp "$5" "$STAND_IN/installed.txt"
exit 98
"""


def git(folder, *words):
    done = subprocess.run(
        ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e@example.org", *words],
        capture_output=True, text=True, errors="replace", check=True,
    )  # fmt: skip
    return done.stdout.strip()


def workflow(text):
    """A workflow as data; YAML takes its `on` for true."""
    told = yaml.safe_load(text)
    return {"on" if name is True else name: value for name, value in told.items()}


@dataclass
class Ran:
    """A run of a workflow."""

    number: int
    jobs: dict = field(default_factory=dict)
    """By name: `success`, `failure` or `skipped`."""
    said: str = ""


@dataclass
class Hub:
    """GitHub, as far as a board needs it."""

    folder: Path
    runs: int = 0
    secrets: dict = field(default_factory=dict)
    deployed: list = field(default_factory=list)

    def __post_init__(self):
        self.folder.mkdir(parents=True)
        self.origin = self.folder / "origin.git"
        git(self.folder, "init", "-q", "--bare", "--initial-branch=main", str(self.origin))
        git(self.origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.write({"repository": REPOSITORY, "pulls": [], "comments": []})
        self.commands = self.folder / "commands"
        self.commands.mkdir()
        for name, text in (("gh", GH), ("safescale", SAFESCALE), ("python", PYTHON)):
            (self.commands / name).write_text(text)
            (self.commands / name).chmod(0o755)

    @property
    def state(self):
        return json.loads((self.folder / "state.json").read_text())

    def write(self, state):
        (self.folder / "state.json").write_text(json.dumps(state))

    def push(self, clone, branch="main"):
        git(clone, "push", "-q", "--force", str(self.origin), f"HEAD:refs/heads/{branch}")
        return git(clone, "rev-parse", "HEAD")

    def pull_request(self, clone, branch, *, owner="someone"):
        """A fork's branch as it is now: pull request 1; the event that this is."""
        head = git(clone, "rev-parse", "HEAD")
        git(clone, "push", "-q", "--force", str(self.origin), "HEAD:refs/pull/1/head")
        base = git(self.origin, "rev-parse", "main")
        merging = self.folder / "merging"
        shutil.rmtree(merging, ignore_errors=True)
        git(self.folder, "clone", "-q", str(self.origin), str(merging))
        git(merging, "fetch", "-q", "origin", "refs/pull/1/head")
        git(merging, "merge", "-q", "--no-ff", "-m", "m", head)
        git(merging, "push", "-q", "--force", "origin", "HEAD:refs/pull/1/merge")
        self.merged = git(merging, "rev-parse", "HEAD")
        state = self.state
        state["pulls"] = [{"number": 1, "head": {"sha": head}, "label": f"{owner}:{branch}"}]
        self.write(state)
        return {
            "event_name": "pull_request",
            "repository": REPOSITORY,
            "sha": self.merged,
            "event": {
                "pull_request": {
                    "number": 1,
                    "base": {"sha": base},
                    "head": {
                        "sha": head, "ref": branch,
                        "repo": {"full_name": REPOSITORY if owner == "org" else f"{owner}/fork"},
                    },
                },
            },
        }  # fmt: skip

    def completed(self, ran, event):
        """The event that a workflow has ended."""
        pull = event["event"]["pull_request"]
        owner = pull["head"]["repo"]["full_name"].split("/")[0]
        return {
            "event_name": "workflow_run",
            "repository": REPOSITORY,
            "sha": git(self.origin, "rev-parse", "main"),
            "event": {
                "repository": {"default_branch": "main"},
                "workflow_run": {
                    "id": ran.number,
                    "event": event["event_name"],
                    "head_sha": pull["head"]["sha"],
                    "head_branch": pull["head"]["ref"],
                    "head_repository": {
                        "full_name": pull["head"]["repo"]["full_name"], "owner": {"login": owner},
                    },
                },
            },
        }  # fmt: skip

    def run(self, name, event):
        """Run a workflow, as the event's commit has it."""
        text = git(self.origin, "show", f"{event['sha']}:.github/workflows/{name}.yml")
        told = workflow(text)
        self.runs += 1
        ran = Ran(self.runs)
        needs = {}
        for job, what in told["jobs"].items():
            needed = [what["needs"]] if isinstance(what.get("needs"), str) else []
            token = {"token": "a-token" if _may(told, what) else ""}
            context = {
                "github": {**event, **token, "run_id": ran.number, "run_attempt": 1},
                "needs": needs, "steps": {}, "secrets": self.secrets,
            }  # fmt: skip
            if any(ran.jobs[each] != "success" for each in needed) or not _true(
                what.get("if", True), context
            ):
                ran.jobs[job] = "skipped"
                continue
            ran.jobs[job] = _Job(self, told, what, context, ran).run()
            outputs = {
                key: filled(value, context) for key, value in what.get("outputs", {}).items()
            }
            needs[job] = {"outputs": outputs}
        return ran


def _may(told, job):
    permissions = job.get("permissions", told.get("permissions"))
    return bool(permissions)


def looked_up(name, context):
    value = context
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return value


def filled(text, context):
    return re.sub(
        r"\$\{\{ *([\w.-]+) *\}\}", lambda found: str(looked_up(found[1], context)), str(text)
    )


def _true(condition, context):
    """A condition that is a name, a comparison of a name with a name or a text, or always true."""
    if condition is True or "cancelled()" in condition:
        return True
    one, sign, other = re.fullmatch(r"(\S+) (==|!=) (\S+)", condition).groups()
    values = [
        each[1:-1] if each.startswith("'") else str(looked_up(each, context))
        for each in (one, other)
    ]
    return (values[0] == values[1]) is (sign == "==")


class _Job:
    def __init__(self, hub, told, job, context, ran):
        self.hub, self.told, self.job, self.context, self.ran = hub, told, job, context, ran
        self.place = hub.folder / f"runner {len(list(hub.folder.glob('runner *')))}"
        self.work, self.temporary = self.place / "work", self.place / "temporary"
        self.work.mkdir(parents=True)
        self.temporary.mkdir()

    def run(self):
        verdict = "success"
        for number, step in enumerate(self.job["steps"]):
            condition = step.get("if", True)
            if verdict == "failure" and "cancelled()" not in str(condition):
                continue
            if not _true(condition, self.context):
                continue
            if not (self._uses if "uses" in step else self._runs)(step, number):
                verdict = "failure"
        return verdict

    def _runs(self, step, number):
        assert "${{" not in step["run"]
        outputs = self.temporary / f"outputs {number}"
        outputs.touch()
        script = self.temporary / f"step {number}.sh"
        script.write_text(step["run"])
        declared = {**self.told.get("env", {}), **self.job.get("env", {}), **step.get("env", {})}
        assert self.told["defaults"]["run"]["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.work / step.get("working-directory", "."),
            env={
                "PATH": f"{self.hub.commands}:{os.environ['PATH']}",
                "HOME": str(self.temporary),
                "PYTHONPATH": str(ROOT),
                "STAND_IN": str(self.hub.folder),
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_OUTPUT": str(outputs),
                **{name: filled(value, self.context) for name, value in declared.items()},
            },
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        self.ran.said += done.stdout + done.stderr
        self.context["steps"][step.get("id", number)] = {
            "outputs": dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        }
        return done.returncode == 0

    def _uses(self, step, _number):
        action, told = step["uses"].partition("@")[0], step.get("with", {})
        told = {name: filled(value, self.context) for name, value in told.items()}
        return getattr(self, "_" + action.replace("/", "_").replace("-", "_"))(told)

    def _actions_checkout(self, told):
        assert told["persist-credentials"] == "False"
        place = self.work / told.get("path", ".")
        place.mkdir(exist_ok=True)
        commit = told.get("ref") or self.context["github"]["sha"]
        git(place, "init", "-q")
        depth = told.get("fetch-depth", "1")
        git(place, "fetch", "-q", f"--depth={depth}", f"file://{self.hub.origin}", commit)
        git(place, "checkout", "-q", "--detach", "FETCH_HEAD")
        return True

    def _actions_setup_python(self, told):
        return bool(told["python-version"])

    def _actions_cache(self, told):
        return {"path", "key", "restore-keys"} == set(told)

    def _artifacts(self, run, name):
        return self.hub.folder / "artifacts" / str(run) / name

    def _actions_upload_artifact(self, told):
        file = self.work / told["path"]
        if not file.is_file():
            return told["if-no-files-found"] != "error"
        folder = self._artifacts(self.ran.number, told["name"])
        folder.mkdir(parents=True)
        number = len(list((self.hub.folder / "artifacts").glob("*/*"))) + 1000
        with zipfile.ZipFile(folder / f"{number}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, file.name)
        return True

    def _actions_download_artifact(self, told):
        (file,) = self._artifacts(self.ran.number, told["name"]).glob("*.zip")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(self.work)
        return True

    def _actions_upload_pages_artifact(self, told):
        shutil.copytree(self.work / told["path"], self.hub.folder / "pages", dirs_exist_ok=True)
        return True

    def _actions_deploy_pages(self, _told):
        self.hub.deployed.append(self.ran.number)
        return (self.hub.folder / "pages").is_dir()

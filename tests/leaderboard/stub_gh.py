"""A stub of GitHub's command `gh api`, over the folder that STAND_IN names. It refuses every call
that no workflow of ours is to make.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HUB = Path(os.environ["STAND_IN"])


def given(arguments):
    """Method, path and fields of a call."""
    method, fields, paths = "GET", {}, []
    left = iter(arguments)
    assert next(left) == "api"
    for word in left:
        if word == "--method":
            method = next(left)
        elif word in ("-f", "-F"):
            name, _, value = next(left).partition("=")
            is_file = word == "-F" and value.startswith("@")
            fields[name] = Path(value[1:]).read_text() if is_file else value
        elif word not in ("--paginate", "--silent"):
            paths.append(word)
    (path,) = paths
    return method, path, fields


def pulls(state, fields):
    assert (fields["state"], fields["base"]) == ("open", "main")
    return [each for each in state["pulls"] if each["label"] == fields["head"]]


def artifacts(run):
    return {
        "artifacts": [
            {"id": int(each.stem), "name": each.parent.name, "size_in_bytes": each.stat().st_size}
            for each in sorted((HUB / "artifacts" / run).glob("*/*.zip"))
        ]
    }


def compared(commits):
    told = subprocess.run(
        ["git", "-C", HUB / "origin.git", "diff", "--name-status", "-z", "-M", commits],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    files, left = [], iter(told.stdout.split("\0")[:-1])
    for status in left:
        renamed = {"previous_filename": next(left)} if status.startswith("R") else {}
        files.append({"filename": next(left), **renamed})
    return {"files": files[:300]}


def write(state, issue, body):
    user = {"login": "github-actions[bot]"}
    number = len(state["comments"]) + 100
    state["comments"].append({"id": number, "issue": issue, "body": body, "user": user})


def overwrite(state, number, body):
    (one,) = [each for each in state["comments"] if each["id"] == number]
    one["body"] = body


def answer(state, call, fields):
    """What GitHub says; bytes are a file."""
    if call == "GET pulls":
        return pulls(state, fields)
    if found := re.fullmatch(r"GET actions/runs/(\d+)/artifacts", call):
        return artifacts(found[1])
    if found := re.fullmatch(r"GET actions/artifacts/(\d+)/zip", call):
        (file,) = (HUB / "artifacts").glob(f"*/*/{found[1]}.zip")
        return file.read_bytes()
    if found := re.fullmatch(r"GET compare/(main\.\.\.[0-9a-f]{40})", call):
        return compared(found[1])
    if found := re.fullmatch(r"GET issues/(\d+)/comments", call):
        return [each for each in state["comments"] if each["issue"] == int(found[1])]
    if found := re.fullmatch(r"POST issues/(\d+)/comments", call):
        return write(state, int(found[1]), fields["body"])
    if found := re.fullmatch(r"PATCH issues/comments/(\d+)", call):
        return overwrite(state, int(found[1]), fields["body"])
    return sys.exit(f"gh: {call} is not to be called")


if __name__ == "__main__":
    if not os.environ.get("GH_TOKEN"):
        sys.exit("gh: no token")
    store = HUB / "state.json"
    state = json.loads(store.read_text())
    method, path, fields = given(sys.argv[1:])
    call = f"{method} {path.removeprefix('repos/' + state['repository'] + '/')}"
    said = answer(state, call, fields)
    store.write_text(json.dumps(state))
    sys.stdout.buffer.write(said if isinstance(said, bytes) else json.dumps(said).encode())

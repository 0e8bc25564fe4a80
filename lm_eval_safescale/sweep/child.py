"""The process of one job on this machine: reads the job from its standard input, and writes the
outcome to its standard output.

It dies with whoever started it: nobody goes on writing answers whose sweep was killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import msgspec

from lm_eval_safescale.sweep.jobs import Job, run_job


def main() -> None:
    """Run the job on the first line of standard input; when the input ends, the one who started
    this is gone."""
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    channel = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a library that asks something of the terminal finds nobody there
    os.close(nothing)
    job = msgspec.json.decode(source.readline(), type=Job)
    threading.Thread(target=_die_with, args=(source,), daemon=True, name="parent").start()
    try:
        outcome = run_job(job)
    except KeyboardInterrupt:
        os._exit(130)
    channel.write(msgspec.json.encode(outcome))
    channel.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # engines may leave threads behind that never end


def _die_with(source: object) -> None:
    while source.read(1):  # type: ignore[attr-defined]
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with all that the engine has started
    os._exit(1)


if __name__ == "__main__":
    main()

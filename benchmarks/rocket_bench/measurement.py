"""Runs one measurement in a process of its own, so that the generator shares nothing with what it measures."""

from __future__ import annotations

import subprocess
import sys

import msgspec
from rocket_bench.case import Figures, PullCase, SendCase
from rocket_bench.servers import BENCHMARKS, BUILD, ServerFailed, Target

#: Enough for the slowest, a million messages through a slow broker.
_PATIENCE_SECONDS = 900.0


def run(case: SendCase | PullCase) -> Figures:
    """What the case finds. Raises ServerFailed when the server went away meanwhile."""
    module = "rocket_bench.send" if isinstance(case, SendCase) else "rocket_bench.pull"
    done = subprocess.run(
        [sys.executable, "-m", module, msgspec.json.encode(case).decode()],
        cwd=BENCHMARKS,
        capture_output=True,
        timeout=_PATIENCE_SECONDS,
    )
    if done.returncode:
        raise ServerFailed(f"{done.stderr.decode().strip().splitlines()[-1]}; {case}; output of servers is in {BUILD}")
    return msgspec.json.decode(done.stdout, type=Figures)


def fill(target: Target, messages: int) -> Figures:
    """Stores this many messages."""
    return run(SendCase(port=target.port, pid=target.pid, connections=8, in_flight=32, messages=messages))

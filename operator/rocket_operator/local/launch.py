"""Becomes another program, one that is asked to stop (SIGTERM) when whoever started it dies, however it dies.

    python -I -S launch.py PARENT_PID PROGRAM [ARGUMENT...]

Run as a script of its own between fork and exec, since a parent with threads may not run Python there. It imports
nothing of ours, so that it costs a few milliseconds. Only Linux can do it; elsewhere the next `up` finds what is left.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes  # here alone: not every platform's Python has what follows

        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            sys.exit(f"cannot be told of the parent's death: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent died before this process could begin")
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main()

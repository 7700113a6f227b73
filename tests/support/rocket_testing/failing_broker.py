"""mqbroker on a disk whose syncs fail while a file is there: `python failing_broker.py TRIGGER mqbroker's options`.

broker = with_failing_syncs(OurServers().broker(...), trigger)
broker.start(); trigger.touch()
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from rocket_testing.cluster import Broker


def with_failing_syncs(broker: Broker, trigger: Path) -> Broker:
    """The broker, to be started so that its syncs fail while `trigger` exists."""
    broker.argv = [sys.executable, __file__, str(trigger), *broker.argv[1:]]
    broker.environment = {**broker.environment, "PYTHONPATH": str(Path(__file__).parents[1])}
    return broker


def main() -> None:
    trigger = sys.argv.pop(1)
    sync = os.fdatasync

    def failing(fd: int) -> None:
        if os.path.exists(trigger):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    os.fdatasync = failing
    from rocket_broker.__main__ import main as broker_main

    broker_main()


if __name__ == "__main__":
    main()

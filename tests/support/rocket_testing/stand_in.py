"""Stands in for mqnamesrv and mqbroker: opens the ports of its settings file, answers /readyz, stops on SIGTERM.

It writes what it does into ../journal. What it shall do stands in `regionId`, which means nothing to it otherwise:
`exits-with-N` ends at once with this status, `is-deaf` ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path


def journal(word: str) -> None:
    with Path("../journal").open("a") as file:
        file.write(f"{word} {Path.cwd().name} {os.getpid()}\n")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


async def main(settings: dict[str, str]) -> None:
    part = settings.get("regionId", "")
    if part.startswith("exits-with-"):
        print("the stand-in was told to fail", file=sys.stderr)
        sys.exit(int(part.removeprefix("exits-with-")))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, (lambda: None) if part == "is-deaf" else stop.set)
    first = int(settings["listenPort"])
    ports = [first, int(settings["metricsPromExporterPort"])]
    ports += [first - 2, int(settings["haListenPort"])] if "haListenPort" in settings else []
    for port in ports:
        await asyncio.start_server(answer, "127.0.0.1", port)
    journal("start")
    await stop.wait()
    journal("stop")


if __name__ == "__main__":
    lines = Path(sys.argv[sys.argv.index("-c") + 1]).read_text().splitlines()
    asyncio.run(main(dict(line.split("=", 1) for line in lines if not line.startswith("#"))))

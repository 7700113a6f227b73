"""A TCP relay between real clients and a real cluster, which writes down every frame that passes.

It stands in front of each name server and broker. What a server says about where brokers are is changed on its way to
the client, so that the client comes through the relay for them too; what is written down is what the server said. The
relay's ports therefore have as many digits as the real ones: a changed frame keeps its length.

    client ──► relay 39876 ──► name server 29876        python relay.py --port 39876=29876 --port 30911=20911 \\
           ──► relay 30911 ──► broker      20911                        --out frames.json --origin "Java client 5.5.0"

Ends with SIGINT or SIGTERM; then the file is written: the first few requests of each kind (code, direction, answer's
code), each with its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_KEPT = 6000  # bytes of a frame; longer ones teach nothing that shorter ones do not
JSON_HEADER = 0
VARIED = (10, 34, 310, 320)  # sends and heartbeats differ most from one to the next


@dataclass(frozen=True)
class Frame:
    """One frame as it came, and the few header fields that pair requests with answers."""

    raw: bytes
    to_server: bool
    code: int
    opaque: int
    flag: int

    @classmethod
    def parse(cls, raw: bytes, to_server: bool) -> Frame:
        mark = struct.unpack_from(">I", raw, 4)[0]
        header = raw[8 : 8 + (mark & 0xFFFFFF)]
        if mark >> 24 == JSON_HEADER:
            fields = json.loads(header)
            return cls(raw, to_server, fields["code"], fields["opaque"], fields["flag"])
        code, _language, _version, opaque, flag = struct.unpack_from(">hBhii", header)
        return cls(raw, to_server, code, opaque, flag)

    @property
    def is_answer(self) -> bool:
        return bool(self.flag & 1)

    @property
    def is_oneway(self) -> bool:
        return bool(self.flag & 2)

    def to_json(self) -> dict[str, object]:
        mark = struct.unpack_from(">I", self.raw, 4)[0]
        body = self.raw[8 + (mark & 0xFFFFFF) :]
        shown: dict[str, object] = {"code": self.code}
        if mark >> 24 == JSON_HEADER:
            shown["header"] = self.raw[8 : 8 + (mark & 0xFFFFFF)].decode()
        if body[:1] in (b"{", b"["):
            shown["body"] = body.decode()
        shown["hex"] = self.raw.hex()
        return shown


@dataclass
class Ledger:
    """The frames of all connections, requests joined to their answers; of each kind the first few."""

    kept_per_kind: int
    exchanges: list[dict[str, object]] = field(default_factory=list)
    _seen: Counter[tuple[int, bool, int | None]] = field(default_factory=Counter)
    _open: dict[tuple[int, bool, int], Frame] = field(default_factory=dict)

    def note(self, connection: int, frame: Frame) -> None:
        if frame.is_answer:
            # An answer travels against its request, so the two directions' opaques do not mix.
            request = self._open.pop((connection, not frame.to_server, frame.opaque), None)
            if request is not None:
                self._keep(request, frame)
        elif frame.is_oneway:
            self._keep(frame, None)
        else:
            self._open[connection, frame.to_server, frame.opaque] = frame

    def _keep(self, request: Frame, answer: Frame | None) -> None:
        kind = (request.code, request.to_server, None if answer is None else answer.code)
        self._seen[kind] += 1
        if self._seen[kind] > self.kept_per_kind * (3 if request.code in VARIED else 1):
            return
        if max(len(request.raw), len(answer.raw) if answer else 0) > LONGEST_KEPT:
            return
        exchange: dict[str, object] = {"from": "client" if request.to_server else "server"}
        exchange["oneway"] = answer is None
        exchange["request"] = request.to_json()
        if answer is not None:
            exchange["answer"] = answer.to_json()
        self.exchanges.append(exchange)

    def save(self, path: Path, origin: str) -> None:
        whole = {"origin": origin, "exchanges": self.exchanges}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


class Relay:
    """Listens on one port for one server; `moved` is what to change in the server's words about brokers."""

    def __init__(self, target_port: int, ledger: Ledger, moved: list[tuple[bytes, bytes]]) -> None:
        self._target_port = target_port
        self._ledger = ledger
        self._moved = moved
        self._connections = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = self._target_port * 1000 + self._connections
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(connection, reader, far_writer, to_server=True))
                both.create_task(self._pass(connection, far_reader, writer, to_server=False))

    async def _pass(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        try:
            while True:
                length = await reader.readexactly(4)
                raw = length + await reader.readexactly(struct.unpack(">I", length)[0])
                self._ledger.note(connection, Frame.parse(raw, to_server))
                if not to_server:
                    for real, ours in self._moved:
                        raw = raw.replace(real, ours)
                writer.write(raw)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def relay(ports: dict[int, int], ledger: Ledger) -> None:
    moved = [(b":%d" % real, b":%d" % ours) for ours, real in ports.items()]
    servers = [
        await asyncio.start_server(Relay(real, ledger, moved).converse, "127.0.0.1", ours)
        for ours, real in ports.items()
    ]
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", action="append", required=True, metavar="OURS=REAL")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--origin", required=True, help="who spoke with whom, kept in the file")
    parser.add_argument("--keep", type=int, default=2, help="requests kept of each kind")
    arguments = parser.parse_args()
    ports = {}
    for pair in arguments.port:
        ours, real = pair.split("=")
        if len(ours) != len(real):
            parser.error(f"{pair}: both ports need as many digits")
        ports[int(ours)] = int(real)
    ledger = Ledger(arguments.keep)
    asyncio.run(relay(ports, ledger))
    ledger.save(arguments.out, arguments.origin)


if __name__ == "__main__":
    main()

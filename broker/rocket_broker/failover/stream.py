"""The auto-switch replication stream: bytes in, values out (protocol section 5.5). All numbers big-endian.

slave to master    4 state, 2, 2, 8 broker id                             HANDSHAKE: who asks (flags for Apache's)
                   4 state, 8 position                                    TRANSFER: the slave has the log up to there
                   4 state, 8 token                                       PROMISE: the answer to an ask
master to slave    4 state, 4 n, 8 position, 4 epoch, 8 begin, 8 confirm; then n bytes
                       HANDSHAKE   the log's end, the newest epoch; 12 bytes (4 epoch, 8 begin) an epoch
                       TRANSFER    a stretch of the log of one epoch; n = 0 is a heartbeat
                       ASK         position is a token: does the slave promise not to take over?

ASK and PROMISE are ours (rule *promise*): they travel with the log, so who answers has everything sent before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from rocket_wire.errors import ProtocolError

MAX_TRANSFER_BYTES: Final = 16 * 1024 * 1024
_STATE: Final = Struct(">i")
_HELLO: Final = Struct(">ihhq")
_REPORT: Final = Struct(">iq")
_HEADER: Final = Struct(">iiqiqq")
_EPOCH: Final = Struct(">iq")


class State(IntEnum):
    """What a frame is."""

    HANDSHAKE = 1
    TRANSFER = 2
    ASK = 16
    PROMISE = 17


class Hello(NamedTuple):
    """A slave's first frame."""

    broker_id: int


class Report(NamedTuple):
    """The slave has the log up to `position`."""

    position: int


class Promise(NamedTuple):
    """The slave promises; `token` is that of the ask."""

    token: int


class FromMaster(NamedTuple):
    """A master's frame. `position` is the log's end in a HANDSHAKE, a token in an ASK."""

    state: State
    position: int
    epoch: int
    epoch_begin: int
    confirmed: int
    content: bytes = b""

    def epochs(self) -> dict[int, int]:
        """The epochs of a HANDSHAKE. Raises ProtocolError."""
        if len(self.content) % _EPOCH.size:
            raise ProtocolError(f"replication: {len(self.content)} bytes are no list of epochs")
        return dict(_EPOCH.iter_unpack(self.content))


FromSlave = Hello | Report | Promise


def hello(broker_id: int) -> bytes:
    return _HELLO.pack(State.HANDSHAKE, 0, 0, broker_id)


def report(position: int) -> bytes:
    return _REPORT.pack(State.TRANSFER, position)


def promise(token: int) -> bytes:
    return _REPORT.pack(State.PROMISE, token)


def header(state: State, size: int, position: int, epoch: int, epoch_begin: int, confirmed: int) -> bytes:
    """What stands before `size` bytes of a master's frame."""
    return _HEADER.pack(state, size, position, epoch, epoch_begin, confirmed)


def epochs_body(begins: Mapping[int, int]) -> bytes:
    return b"".join(_EPOCH.pack(epoch, begin) for epoch, begin in sorted(begins.items()))


class SlaveReader:
    """Cuts a slave's stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[FromSlave]:
        """The frames that these bytes complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += received
        while len(buffer) >= _STATE.size:
            (state,) = _STATE.unpack_from(buffer)
            size = _HELLO.size if state == State.HANDSHAKE else _REPORT.size
            if len(buffer) < size:
                return
            frame = bytes(buffer[:size])
            del buffer[:size]
            yield _from_slave(state, frame)


def _from_slave(state: int, frame: bytes) -> FromSlave:
    if state == State.HANDSHAKE:
        return Hello(_HELLO.unpack(frame)[3])
    _, number = _REPORT.unpack(frame)
    if number < 0:
        raise ProtocolError(f"replication: a slave says {number}")
    if state == State.TRANSFER:
        return Report(number)
    if state == State.PROMISE:
        return Promise(number)
    raise ProtocolError(f"replication: a slave sends state {state}")


class MasterReader:
    """Cuts a master's stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[FromMaster]:
        """The frames that these bytes complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += received
        start = 0
        while len(buffer) - start >= _HEADER.size:
            state, size, position, epoch, begin, confirmed = _HEADER.unpack_from(buffer, start)
            if state not in (State.HANDSHAKE, State.TRANSFER, State.ASK) or not 0 <= size <= MAX_TRANSFER_BYTES:
                raise ProtocolError(f"replication: a master sends state {state} and {size} bytes")
            if min(position, epoch, begin) < 0:
                raise ProtocolError(f"replication: a master sends position {position} of epoch {epoch}")
            end = start + _HEADER.size + size
            if end > len(buffer):
                break
            content = bytes(buffer[start + _HEADER.size : end])
            start = end
            yield FromMaster(State(state), position, epoch, begin, confirmed, content)
        del buffer[:start]

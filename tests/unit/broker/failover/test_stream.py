"""The auto-switch stream: frames as section 5.5 lays them out, in pieces of any size."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_broker.failover import stream
from rocket_broker.failover.stream import FromMaster, Hello, MasterReader, Promise, Report, SlaveReader, State
from rocket_wire.errors import ProtocolError

LONGS = st.integers(0, 2**63 - 1)
FROM_SLAVE = st.one_of(
    st.builds(Hello, st.integers(1, 99)), st.builds(Report, LONGS), st.builds(Promise, LONGS)
)  # fmt: skip
FROM_MASTER = st.builds(
    FromMaster, st.sampled_from([State.HANDSHAKE, State.TRANSFER, State.ASK]), LONGS, st.integers(0, 2**31 - 1), LONGS,
    LONGS, st.binary(max_size=50),
)  # fmt: skip


def of_slave(frame: object) -> bytes:
    match frame:
        case Hello(broker_id):
            return stream.hello(broker_id)
        case Report(position):
            return stream.report(position)
        case Promise(token):
            return stream.promise(token)
    raise AssertionError(frame)


def of_master(frame: FromMaster) -> bytes:
    state, position, epoch, begin, confirmed, content = frame
    return stream.header(state, len(content), position, epoch, begin, confirmed) + content


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def test_frames_are_laid_out_as_apaches() -> None:
    assert stream.hello(2) == struct.pack(">ihhq", 1, 0, 0, 2)
    assert stream.report(77) == struct.pack(">iq", 2, 77)
    assert stream.header(State.TRANSFER, 3, 4, 5, 6, 7) == struct.pack(">iiqiqq", 2, 3, 4, 5, 6, 7)
    assert stream.epochs_body({5: 300, 2: 100}) == struct.pack(">iqiq", 2, 100, 5, 300)


@settings(deadline=None)
@given(st.lists(FROM_SLAVE, max_size=6), st.integers(1, 40))
def test_a_slaves_frames_come_whole(frames: list[object], size: int) -> None:
    reader = SlaveReader()
    content = b"".join(map(of_slave, frames))
    assert [frame for piece in pieces(content, size) for frame in reader.feed(piece)] == frames


@settings(deadline=None)
@given(st.lists(FROM_MASTER, max_size=6), st.integers(1, 60))
def test_a_masters_frames_come_whole(frames: list[FromMaster], size: int) -> None:
    reader = MasterReader()
    content = b"".join(map(of_master, frames))
    assert [frame for piece in pieces(content, size) for frame in reader.feed(piece)] == frames


@pytest.mark.parametrize("content", [struct.pack(">iq", 2, -1), struct.pack(">iq", 9, 1), b"GET / HTTP/1.1\r\n\r\n"])
def test_a_slave_that_talks_nonsense_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(SlaveReader().feed(content))


@pytest.mark.parametrize(
    "numbers",
    [(9, 0, 0, 0, 0, 0), (2, -1, 0, 0, 0, 0), (2, 1 << 30, 0, 0, 0, 0), (2, 0, -1, 0, 0, 0), (2, 0, 0, -1, 0, 0)],
)
def test_a_master_that_talks_nonsense_is_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError):
        list(MasterReader().feed(struct.pack(">iiqiqq", *numbers)))


def test_a_list_of_epochs_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ProtocolError):
        FromMaster(State.HANDSHAKE, 0, 1, 0, 0, bytes(13)).epochs()

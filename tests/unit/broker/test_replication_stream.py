"""The plain replication stream: bytes in, values out, however the network cuts them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_broker.replication.protocol import MAX_TRANSFER_BYTES, ReportReader, Transfer, TransferReader
from rocket_wire.errors import ProtocolError

positions = st.integers(0, 2**63 - 1)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The stream in pieces of these sizes, over and over."""
    pieces, start, turn = [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[start : start + size])
        start, turn = start + size, turn + 1
    return pieces


def packed(transfer: Transfer) -> bytes:
    return struct.pack(">qi", transfer.position, len(transfer.content)) + transfer.content


def test_a_transfer_looks_as_apaches() -> None:
    stream = bytes.fromhex("0000000000001000 00000003 616263")
    assert list(TransferReader().feed(stream)) == [Transfer(0x1000, b"abc")]


def test_a_heartbeat_is_a_transfer_of_nothing() -> None:
    assert list(TransferReader().feed(bytes.fromhex("0000000000001000 00000000"))) == [Transfer(0x1000, b"")]


@given(
    st.lists(st.builds(Transfer, positions, st.binary(max_size=40)), max_size=8),
    st.lists(st.integers(1, 30), min_size=1),
)
def test_transfers_come_out_whole_however_they_are_cut(transfers: list[Transfer], sizes: list[int]) -> None:
    reader = TransferReader()
    stream = b"".join(map(packed, transfers))
    assert [found for piece in cut(stream, sizes) for found in reader.feed(piece)] == transfers


@given(st.lists(positions, max_size=20), st.lists(st.integers(1, 30), min_size=1))
def test_reports_come_out_whole_however_they_are_cut(reports: list[int], sizes: list[int]) -> None:
    reader = ReportReader()
    stream = b"".join(struct.pack(">q", position) for position in reports)
    assert [found for piece in cut(stream, sizes) for found in reader.feed(piece)] == reports


@pytest.mark.parametrize(
    ("position", "length"),
    [(-1, 0), (-(2**63), 10), (0, -1), (0, -(2**31)), (0, MAX_TRANSFER_BYTES + 1), (5, 2**31 - 1)],
)
def test_a_length_or_position_that_cannot_be_is_refused_before_its_bytes_are_waited_for(
    position: int, length: int
) -> None:
    reader = TransferReader()
    assert list(reader.feed(packed(Transfer(7, b"good")))) == [Transfer(7, b"good")]
    with pytest.raises(ProtocolError, match=str(length)):
        list(reader.feed(struct.pack(">qi", position, length)))


@given(st.binary(max_size=200), st.lists(st.integers(1, 30), min_size=1))
def test_any_bytes_are_transfers_or_a_protocol_error(stream: bytes, sizes: list[int]) -> None:
    reader = TransferReader()
    try:
        for piece in cut(stream, sizes):
            for found in reader.feed(piece):
                assert found.position >= 0
    except ProtocolError:
        pass

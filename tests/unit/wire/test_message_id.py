"""Offset ids and unique keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import message_id, record
from rocket_wire.errors import ProtocolError
from rocket_wire.message_id import UniqueKeys


def test_an_offset_id_is_host_and_position_in_hexadecimal() -> None:
    host = record.encode_host("127.0.0.1", 10911)
    assert message_id.offset_message_id(host, 4096) == "7F00000100002A9F0000000000001000"
    assert len(message_id.offset_message_id(record.encode_host("::1", 10911), 0)) == 56


@given(st.binary(min_size=8, max_size=8) | st.binary(min_size=20, max_size=20), st.integers(0, (1 << 63) - 1))
def test_any_offset_id_comes_back(host: bytes, position: int) -> None:
    assert message_id.decode_offset_message_id(message_id.offset_message_id(host, position)) == (host, position)


@pytest.mark.parametrize("text", ["", "0", "00" * 15, "00" * 17, "0g" * 16, "00 " * 10 + "00", "é" * 32, "0" * 55])
def test_what_is_no_offset_id_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        message_id.decode_offset_message_id(text)


def test_a_unique_key_tells_address_process_instance_time_and_number() -> None:
    keys = UniqueKeys(bytes((10, 0, 0, 1)), 0x12345, 0xDEADBEEF)
    now = int(datetime(2024, 5, 1, 0, 0, 1, tzinfo=UTC).timestamp() * 1000)
    assert keys.next(now) == "0A0000012345DEADBEEF000003E80001"
    assert keys.next(now) == "0A0000012345DEADBEEF000003E80002"
    assert len(UniqueKeys(bytes(16), 1, 1).next(now)) == 56


def test_keys_of_one_millisecond_differ() -> None:
    keys = UniqueKeys(bytes(4), 1, 1)
    assert len({keys.next(1_700_000_000_000) for _ in range(65_536)}) == 65_536


def test_a_new_month_begins_at_zero() -> None:
    keys = UniqueKeys(bytes(4), 1, 1)
    december = int(datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
    assert keys.next(december)[20:28] == f"{31 * 86_400_000 - 1000:08X}"
    assert keys.next(december + 1000)[20:28] == "00000000"
    assert keys.next(december)[20:28] == f"{31 * 86_400_000 - 1000:08X}"


def test_an_address_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="4 or 16 bytes"):
        UniqueKeys(bytes(5), 1, 1)

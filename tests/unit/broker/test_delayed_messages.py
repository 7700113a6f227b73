"""A delayed message becomes again what it was, under its own topic."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_broker.delay import DelayOffsets, deliveries, restored
from rocket_wire import properties, record
from rocket_wire.bodies.offsets import DelayOffsetSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.errors import ProtocolError

GOLDEN = Path(__file__).parents[2] / "golden" / "broker-config" / "delayOffset.json"


def delayed(**pairs: str) -> record.Message:
    return record.Message(
        topic="SCHEDULE_TOPIC_XXXX",
        queue_id=2,
        body=b"body",
        properties=properties.encode(pairs),
        flag=5,
        sys_flag=1,
        queue_offset=77,
        position=1234,
        born_timestamp=42,
        born_host=bytes([10, 0, 0, 1, 0, 0, 0, 9]),
        store_timestamp=43,
        store_host=bytes([10, 0, 0, 2, 0, 0, 0, 8]),
        reconsume_times=3,
    )


def test_a_message_goes_where_it_belongs_with_all_its_properties_as_in_apaches_broker() -> None:
    message = restored(delayed(KEYS="k", REAL_TOPIC="Orders", REAL_QID="3", DELAY="3", TAGS="TagA", UNIQ_KEY="U"))
    assert (message.topic, message.queue_id) == ("Orders", 3)
    assert (message.body, message.flag, message.sys_flag, message.reconsume_times) == (b"body", 5, 1, 3)
    assert (message.born_timestamp, message.born_host) == (42, bytes([10, 0, 0, 1, 0, 0, 0, 9]))
    pairs = properties.decode(message.properties)
    assert pairs == {
        "KEYS": "k", "REAL_TOPIC": "Orders", "REAL_QID": "3", "DELAY": "3", "TAGS": "TagA", "UNIQ_KEY": "U",
    }  # fmt: skip


@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"REAL_TOPIC": "T"},
        {"REAL_QID": "0"},
        {"REAL_TOPIC": "T", "REAL_QID": "x"},
        {"REAL_TOPIC": "T", "REAL_QID": "-1"},
        {"REAL_TOPIC": "T", "REAL_QID": "²"},
        {"REAL_TOPIC": "T", "REAL_QID": "99999999999"},
    ],
)
def test_a_message_that_does_not_say_where_it_belongs_is_an_error_of_its_own(pairs: dict[str, str]) -> None:
    """It is skipped; anything else would stop all that is delayed behind it."""
    with pytest.raises(ProtocolError):
        restored(delayed(**pairs))


def test_the_file_that_apache_wrote_is_read_and_written_alike() -> None:
    offsets = DelayOffsets()
    offsets.restore(DelayOffsetSerializeWrapper.decode(GOLDEN.read_bytes()))
    assert offsets.table == {1: 1}
    version = DataVersion(0, 1795488059449, 0)
    assert offsets.version == version
    assert offsets.encode().decode() == f'{{"dataVersion":{version.encode().decode()},"offsetTable":{{1:1}}}}'


def test_a_restored_table_is_a_copy() -> None:
    fetched = DelayOffsetSerializeWrapper({1: 10})
    offsets = DelayOffsets()
    offsets.restore(fetched)
    offsets.table[1] = 11
    assert fetched.offset_table == {1: 10}


def test_the_file_does_not_say_more_than_the_disk_holds() -> None:
    offsets = DelayOffsets()
    offsets.restore(DelayOffsetSerializeWrapper({1: 10}))
    offsets.table[1] = 11
    assert '"offsetTable":{1:10}' in offsets.encode().decode()


def test_levels_are_written_as_bare_numbers() -> None:
    offsets = DelayOffsets()
    offsets.durable = {1: 10, 18: 3}
    text = offsets.encode().decode()
    assert text.endswith('"offsetTable":{1:10,18:3}}')


def test_deliveries_that_went_with_the_end_of_the_log_come_again() -> None:
    """A member of a group whose log is cut had delivered what its new master never had."""

    def message(topic: str, **pairs: str) -> record.Message:
        return record.Message(topic=topic, queue_id=0, body=b"", properties=properties.encode(pairs))

    gone = deliveries(
        [
            message("T", DELAY="2", REAL_TOPIC="T"),
            message("SCHEDULE_TOPIC_XXXX", DELAY="2", REAL_TOPIC="T"),
            message("T", DELAY="3", REAL_TOPIC="T"),
            message("T", DELAY="2", REAL_TOPIC="T"),
            message("T"),
        ]
    )
    assert gone == {2: 2, 3: 1}
    offsets = DelayOffsets()
    offsets.table, offsets.durable = {1: 4, 2: 10, 3: 0}, {1: 4, 2: 9}
    offsets.undo(gone)
    assert offsets.table == {1: 4, 2: 8, 3: 0}
    assert offsets.durable == {1: 4, 2: 8, 3: 0}

"""A broadcasting consumer's offsets: Java's file, one owner, the last good version."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rocket_client.errors import InvalidMessage
from rocket_client.offsets import FileOffsets, offsets_folder
from rocket_wire.bodies.body import MessageQueue

QUEUE = MessageQueue("T", "broker-a", 0)


async def test_offsets_are_there_after_a_restart(tmp_path: Path) -> None:
    offsets = FileOffsets(tmp_path)
    assert await offsets.load(QUEUE) is None
    assert await offsets.save({QUEUE: 12}) == {}
    offsets.close()
    again = FileOffsets(tmp_path)
    assert await again.load(QUEUE) == 12
    again.close()


async def test_the_file_is_javas(tmp_path: Path) -> None:
    offsets = FileOffsets(tmp_path)
    await offsets.save({QUEUE: 12})
    offsets.close()
    expected = b'{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:12}}'
    assert (tmp_path / "offsets.json").read_bytes() == expected


async def test_the_file_that_java_wrote_is_read(tmp_path: Path) -> None:
    """As LocalFileOffsetStore prints it: over several lines, with tabs."""
    text = '{\n\t"offsetTable":{{\n\t\t"brokerName":"broker-a",\n\t\t"queueId":0,\n\t\t"topic":"T"\n\t}:5\n\t}\n}'
    (tmp_path / "offsets.json").write_text(text)
    offsets = FileOffsets(tmp_path)
    assert await offsets.load(QUEUE) == 5
    offsets.close()


async def test_a_torn_file_is_left_for_the_version_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    offsets = FileOffsets(tmp_path)
    await offsets.save({QUEUE: 12})
    await offsets.save({QUEUE: 13})
    offsets.close()
    (tmp_path / "offsets.json").write_text('{"offsetTable":{{"brok')
    with caplog.at_level(logging.WARNING):
        again = FileOffsets(tmp_path)
    assert await again.load(QUEUE) == 12
    assert "offsets.json" in caplog.text
    again.close()


def test_a_second_consumer_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = FileOffsets(tmp_path)
    with pytest.raises(InvalidMessage, match="instance_name"):
        FileOffsets(tmp_path)
    first.close()
    FileOffsets(tmp_path).close()


async def test_a_folder_that_cannot_be_written_is_told_and_not_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "offsets"
    offsets = FileOffsets(folder)
    (folder / "offsets.json.tmp").mkdir()
    assert list(await offsets.save({QUEUE: 12})) == [QUEUE]
    (folder / "offsets.json.tmp").rmdir()
    assert await offsets.save({QUEUE: 12}) == {}
    offsets.close()


def test_the_folder_is_where_javas_consumer_looks(tmp_path: Path) -> None:
    assert offsets_folder(tmp_path, "10.0.0.1", "DEFAULT", "g") == tmp_path / "10.0.0.1@DEFAULT" / "g"

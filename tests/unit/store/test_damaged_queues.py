"""Files of queues and of the index that are not what they were: noticed at the start, and made again from the log."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

COUNT = 95
AGAIN = "a consume queue lacks files or parts of them: reading the whole log again"


def whole(stores: Any, store: Any) -> bool:
    """Every message is in its queue and in the index, and the queues go on where they were."""
    for queue in range(2):
        read = stores.reader(store)("T", queue)
        assert [message.body for message in read] == [b"body %d" % number for number in range(queue, COUNT, 2)]
        assert [message.queue_offset for message in read] == list(range(len(read)))
    return all(len(store.query("T", f"U{number}", 9, 0, 1 << 60)) == 1 for number in range(COUNT))


@pytest.fixture
def stopped(stores: Any, message: Any, request: pytest.FixtureRequest) -> Path:
    """The folder of a store whose checkpoint knows of all its messages; killed, or stopped in order."""
    store = stores.open()
    for number in range(COUNT):
        store.put(message(number, queue_id=number % 2))
    store.flush()
    if request.param == "clean":
        store.close()
    root: Path = stores.killed()
    return root


both = pytest.mark.parametrize("stopped", ["clean", "killed"], indirect=True)


def queue_files(root: Path) -> list[Path]:
    return sorted((root / "consumequeue" / "T" / "1").iterdir())


@both
@pytest.mark.parametrize("size", [0, 1, 20, 100, 199, 201, 400])
@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_queue_file_of_another_length_is_noticed_and_made_again(
    stores: Any, stopped: Path, number: int, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(queue_files(stopped)[number], size)
    assert whole(stores, stores.open(stopped))
    assert AGAIN in caplog.text
    assert whole(stores, stores.open(stores.killed(stopped)))


@both
@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_queue_file_is_noticed_and_made_again(
    stores: Any, stopped: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    queue_files(stopped)[number].unlink()
    assert whole(stores, stores.open(stopped))
    assert AGAIN in caplog.text


@both
@pytest.mark.parametrize("content", [b"\xff" * 20, bytes(12) + b"\xff" * 8, b"\x7f" * 20, bytes(8) + b"\1" * 12])
@pytest.mark.parametrize("entry", [0, 3])
def test_rubbish_in_a_queues_last_file_is_noticed_and_made_again(
    stores: Any, stopped: Path, entry: int, content: bytes
) -> None:
    with open(queue_files(stopped)[-1], "r+b") as file:
        file.seek(entry * 20)
        file.write(content)
    assert whole(stores, stores.open(stopped))


@both
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 2), (1, 1), (2, 3), (4, 6), (6, 6), (0, 6)])
def test_zeros_in_a_queues_last_file_are_noticed_and_made_again(
    stores: Any, stopped: Path, first: int, last: int
) -> None:
    """It has seven entries: zeros before others, and where the last ones were."""
    with open(queue_files(stopped)[-1], "r+b") as file:
        file.seek(first * 20)
        file.write(bytes((last - first + 1) * 20))
    assert whole(stores, stores.open(stopped))
    assert whole(stores, stores.open(stores.killed(stopped)))


@both
@pytest.mark.parametrize("folder", ["T/1", "T"])
def test_a_queues_folder_that_is_gone_is_noticed_and_made_again(stores: Any, stopped: Path, folder: str) -> None:
    shutil.rmtree(stopped / "consumequeue" / folder)
    assert whole(stores, stores.open(stopped))
    assert whole(stores, stores.open(stores.killed(stopped)))


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize(("number", "page"), [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)])
def test_a_hole_in_a_queues_file_is_noticed_and_made_again(
    stores: Any, message: Any, number: int, page: int, is_clean: bool
) -> None:
    """As a file system that was repaired leaves it. The first file is full, with 4 pages, the second one has 3."""
    sizes = {"segment_size": 1 << 20, "queue_file_size": 4 * 4096}
    store = stores.open(**sizes)
    for position in range(1400):
        store.put(message(position, body=b"x"))
    store.flush()
    if is_clean:
        store.close()
    root = stores.killed()
    file = sorted((root / "consumequeue" / "T" / "0").iterdir())[number]
    content = file.read_bytes()
    with open(file, "wb") as again:
        for at in (at for at in range(0, len(content), 4096) if at != page * 4096 and any(content[at : at + 4096])):
            os.pwrite(again.fileno(), content[at : at + 4096], at)
        again.truncate(len(content))
    again = stores.open(root, **sizes)
    assert [message.queue_offset for message in stores.reader(again)()] == list(range(1400))
    assert file.read_bytes() == content


def test_nothing_is_read_again_where_a_running_broker_goes_on_behind_its_checkpoint(
    stores: Any, message: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Queues grow, are new, or begin anew as their topic is made again; segments expire."""
    store = stores.open(checkpoint_interval=1000, delete_when=tuple(range(24)))
    for number in range(300):
        store.put(message(number, queue_id=number % 3, topic=f"T{number % 7}"))
        if number % 40 == 0:
            clock.now += 1000
            store.delete_topic("T1")
        if number == 200:
            clock.now += 1000 * 3_600_000
            store.delete_expired(clock.now)
        store.flush()
        stores.open(stores.killed()).close()
    assert "whole log" not in caplog.text


def test_a_kill_just_after_a_topic_was_deleted_brings_no_deleted_topic_back(
    stores: Any, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    for topic in ("old", "new", "other"):
        store.put(message(topic=topic))
    store.delete_topic("old")
    store.flush()
    store.delete_topic("new")
    again = stores.open(stores.killed())
    assert again.queues() == [("other", 0)]
    assert "whole log" not in caplog.text


def test_zeros_in_a_queue_do_not_outlive_a_reading_of_the_whole_log(stores: Any, message: Any) -> None:
    """They stand where a start does not look; the checkpoint is lost."""
    store = stores.open()
    for number in range(COUNT):
        store.put(message(number, queue_id=number % 2))
    store.close()
    with open(queue_files(stores.root)[1], "r+b") as file:
        file.seek(60)
        file.write(bytes(40))
    (stores.root / "checkpoint").unlink()
    (stores.root / "abort").touch()
    assert whole(stores, stores.open())


@both
@pytest.mark.parametrize("size", [100, 400, 6000])
def test_another_size_of_queue_files_makes_the_queues_again(stores: Any, stopped: Path, size: int) -> None:
    assert whole(stores, stores.open(stopped, queue_file_size=size))
    assert {path.stat().st_size for path in queue_files(stopped)} == {size}
    assert whole(stores, stores.open(stores.killed(stopped)))


def test_queues_that_are_made_again_go_on_behind_what_has_expired(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open(delete_when=tuple(range(24)))
    for number in range(10):
        store.put(message(number, queue_id=1))
    for number in range(300):
        store.put(message(number))
    clock.now += 1000 * 3_600_000
    store.put(message(300))
    store.flush()
    store.delete_expired(clock.now)
    ends = [(store.min_offset("T", queue), store.max_offset("T", queue)) for queue in range(2)]
    assert ends[1] == (10, 10)
    again = stores.open(stores.killed(), queue_file_size=600)
    assert [(again.min_offset("T", queue), again.max_offset("T", queue)) for queue in range(2)] == ends
    assert again.put(message(queue_id=1)).queue_offset == 10
    assert [stored.queue_offset for stored in stores.reader(again)("T", 1)] == [10]


def test_expiry_at_the_very_end_of_a_queue_file_is_no_missing_file(
    stores: Any, message: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open(delete_when=tuple(range(24)), queue_file_size=20 * 10)
    while store.max_position < 8192:
        store.put(message(body=b"x" * 700))
    per_segment = store.max_offset("T", 0) - 1
    store = stores.open(stores.root.with_name("other"), delete_when=tuple(range(24)), queue_file_size=20 * per_segment)
    for _ in range(5 * per_segment):
        store.put(message(body=b"x" * 700))
    store.flush()
    assert store.delete_expired(clock.now + 1000 * 3_600_000) > 1
    assert store.min_offset("T", 0) % per_segment == 0
    stores.open(stores.killed(stores.root.with_name("other")), queue_file_size=20 * per_segment)
    assert AGAIN not in caplog.text


# -- the index -------------------------------------------------------------------------------------------------------


def index_files(root: Path) -> list[Path]:
    return sorted((root / "index").iterdir())


@both
@pytest.mark.parametrize("size", [0, 39, 296, 1000, 2000])
@pytest.mark.parametrize("number", [0, -1])
def test_an_index_file_of_another_length_is_noticed_and_made_again(
    stores: Any, stopped: Path, number: int, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = index_files(stopped)[number]
    os.truncate(path, size)
    assert whole(stores, stores.open(stopped))
    assert f"a file of the index is not what it was: {path}" in caplog.text
    assert whole(stores, stores.open(stores.killed(stopped)))


@both
def test_another_size_of_the_index_makes_it_again(stores: Any, stopped: Path) -> None:
    assert whole(stores, stores.open(stopped, max_hash_slots=128))
    assert whole(stores, stores.open(stores.killed(stopped), max_index_entries=70))


@both
def test_a_header_that_counts_more_than_there_can_be_is_noticed(stores: Any, stopped: Path) -> None:
    with open(index_files(stopped)[0], "r+b") as file:
        file.seek(36)
        file.write(b"\x7f\xff\xff\xff")
    assert whole(stores, stores.open(stopped))


def test_an_index_file_that_was_being_made_is_no_damage(
    stores: Any, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    store.put(message(0))
    store.flush()
    copy = stores.killed()
    shutil.copy(index_files(copy)[0], copy / "index" / "99990101000000000")
    os.truncate(copy / "index" / "99990101000000000", 10)
    again = stores.open(copy)
    assert len(again.query("T", "U0", 9, 0, 1 << 60)) == 1
    assert "whole log" not in caplog.text

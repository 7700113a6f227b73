"""What verify says of stores that are whole, that a broker still writes or was killed over, and that are damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.tools.findings import Part, Severity, Verdict
from rocket_broker.store.tools.folder import NotAStore, State
from rocket_broker.store.tools.index_files import IndexView, index_paths
from rocket_broker.store.tools.verify import Report, verify
from rocket_testing import golden_store

SEGMENT = 8192


def damage(report: Report) -> set[Part]:
    return {finding.part for finding in report.findings if finding.severity is Severity.DAMAGE}


def change(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def flip(path: Path, at: int) -> Callable[[], None]:
    """Flips one byte, and returns how to have it back."""
    with path.open("rb") as file:
        file.seek(at)
        before = file.read(1)
    change(path, at, bytes((before[0] ^ 0xFF,)))
    return lambda: change(path, at, before)


def test_a_store_that_was_stopped_is_whole(filled: Path) -> None:
    report = verify(filled).report
    assert (report.state, report.verdict, report.findings) == (State.CLEAN, Verdict.WHOLE, [])
    assert (report.records, report.queues, report.queue_entries) == (240, 3, 240)
    assert (report.index_files, report.index_entries) == (10, 480)
    assert report.end > 3 * SEGMENT


def test_a_store_that_takes_the_place_of_another_is_read_anew(stores: Any, message: Any, filled: Path) -> None:
    assert verify(filled).report.records == 240
    shutil.rmtree(filled)
    store = stores.open()
    store.put(message(1, body=b"another"))
    store.close()
    report = verify(filled).report
    assert (report.records, report.verdict, report.findings) == (1, Verdict.WHOLE, [])


def test_verify_writes_nothing(filled: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in filled.rglob("*") if path.is_file()}
    verify(filled)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in filled.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("name", ["store-clean", "store-killed"])
def test_a_store_of_apaches_is_whole(name: str, tmp_path: Path) -> None:
    report = verify(golden_store.unpack(name, tmp_path)).report
    assert (report.verdict, report.findings) == (Verdict.WHOLE, [])
    assert report.records == report.queue_entries == len(golden_store.listing(name)["records"])


def test_a_store_that_is_open_is_never_called_damaged(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(300):
        store.put(message(number, queue_id=number % 3))
        if number % 50 == 0:
            store.flush()
        if number % 7 == 0:
            report = verify(stores.root).report
            assert report.state is State.RUNNING
            assert report.records == number + 1
            assert damage(report) == set(), report.findings


def test_a_store_whose_broker_was_killed_has_lost_nothing(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(300):
        store.put(message(number, queue_id=number % 3))
    report = verify(stores.killed()).report
    assert (report.state, report.verdict, report.records) == (State.NOT_CLEAN, Verdict.UNFINISHED, 300)


def test_a_log_that_ends_at_any_byte_of_a_record_is_unfinished_and_not_damaged(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(3):
        last = store.put(message(number))
    store.flush()
    for at in range(last.position + 1, last.position + last.size):
        root = stores.killed()
        os.truncate(root / "commitlog" / f"{0:020d}", at)
        report = verify(root).report
        assert (report.verdict, report.records, report.end) == (Verdict.UNFINISHED, 2, last.position)
        shutil.rmtree(root)


def test_a_record_lost_in_the_middle_is_damage_whether_or_not_a_checkpoint_knew_it(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    puts = [store.put(message(number)) for number in range(20)]
    root = stores.killed()
    change(root / "commitlog" / f"{0:020d}", puts[7].position + 90, b"\xff\xff\xff")
    report = verify(root).report
    assert damage(report) == {Part.LOG}
    assert report.records == 19


def test_every_byte_of_a_queue_entry_counts(filled: Path) -> None:
    path = filled / "consumequeue" / "T" / "1" / f"{200:020d}"
    for at in range(40, 60):
        undo = flip(path, at)
        assert Part.QUEUES in damage(verify(filled).report), at
        undo()
    assert verify(filled).report.verdict is Verdict.WHOLE


def test_every_byte_of_an_index_entry_counts(filled: Path) -> None:
    path = sorted((filled / "index").iterdir())[2]
    for at in range(40 + 64 * 4 + 20 * 5, 40 + 64 * 4 + 20 * 6):
        undo = flip(path, at)
        assert damage(verify(filled).report) == {Part.INDEX}, at
        undo()
    assert verify(filled).report.verdict is Verdict.WHOLE


@pytest.mark.parametrize("slots", range(1, 40))
def test_how_many_slots_a_file_of_the_index_has_is_found_out(stores: Any, message: Any, slots: int) -> None:
    store = stores.open(max_hash_slots=slots)
    for number in range(100):
        properties = b"UNIQ_KEY\x01U%d\x02KEYS\x01a%d b%d\x02" % (number, number, number)
        store.put(message(number, properties=properties))
    store.close()
    assert [IndexView(path).slots for path in index_paths(stores.root)] == [slots] * 7


def test_a_slot_that_forgets_its_entries_is_damage(filled: Path) -> None:
    path = sorted((filled / "index").iterdir())[2]
    content = path.read_bytes()[40 : 40 + 64 * 4]
    used = next(at for at in range(0, 64 * 4, 4) if any(content[at : at + 4]))
    change(path, 40 + used, bytes(4))
    assert damage(verify(filled).report) == {Part.INDEX}


def last_file(folder: Path) -> Path:
    return max(path for path in folder.iterdir() if path.name.isdigit())


@pytest.mark.parametrize(("part", "spoil"), [
    (Part.LOG, lambda root: change(root / "commitlog" / f"{SEGMENT:020d}", 0, bytes(2000))),
    (Part.LOG, lambda root: (root / "commitlog" / f"{SEGMENT:020d}").unlink()),
    (Part.LOG, lambda root: last_file(root / "commitlog").unlink()),
    (Part.LOG, lambda root: shutil.rmtree(root / "commitlog")),
    (Part.QUEUES, lambda root: shutil.rmtree(root / "consumequeue" / "T")),
    (Part.QUEUES, lambda root: shutil.rmtree(root / "consumequeue" / "T" / "1")),
    (Part.QUEUES, lambda root: (root / "consumequeue" / "T" / "1" / f"{200:020d}").unlink()),
    (Part.QUEUES, lambda root: last_file(root / "consumequeue" / "T" / "1").unlink()),
    (Part.QUEUES, lambda root: change(root / "consumequeue" / "T" / "1" / f"{200:020d}", 40, bytes(20))),
    (Part.QUEUES, lambda root: last_file(root / "consumequeue" / "Other" / "0").write_bytes(b"x" * 77)),
    (Part.INDEX, lambda root: sorted((root / "index").iterdir())[2].unlink()),
    (Part.INDEX, lambda root: last_file(root / "index").unlink()),
    (Part.INDEX, lambda root: sorted((root / "index").iterdir())[2].write_bytes(b"rubbish")),
    (Part.TABLES, lambda root: (root / "config" / "topics.json").write_text('{"topicConfigTable":{"T":')),
])  # fmt: skip
def test_damage_is_told_of_the_part_that_has_it(filled: Path, part: Part, spoil: Callable[[Path], Any]) -> None:
    spoil(filled)
    report = verify(filled).report
    assert report.verdict is Verdict.DAMAGED
    assert part in damage(report), report.findings


def test_a_log_alone_is_enough_for_a_start_to_make_the_rest(filled: Path) -> None:
    for name in ("consumequeue", "index"):
        shutil.rmtree(filled / name)
    (filled / "checkpoint").unlink()
    report = verify(filled).report
    assert (report.verdict, report.records) == (Verdict.UNFINISHED, 240), report.findings


def test_an_index_that_is_off_is_not_missed(stores: Any, message: Any) -> None:
    store = stores.open(index_enable=False)
    store.put(message())
    store.close()
    assert verify(stores.root).report.verdict is Verdict.WHOLE


def test_records_of_a_deleted_topic_are_counted_and_not_missed(filled: Path, stores: Any, message: Any) -> None:
    store = stores.open()
    store.delete_topic("Other")
    store.put(message())
    (filled / "config" / "topics.json").write_text('{"topicConfigTable":{"T":{"topicName":"T"}}}')
    store.close()
    report = verify(filled).report
    assert (report.verdict, report.deleted_records) == (Verdict.WHOLE, 120), report.findings


def test_a_topic_that_was_deleted_and_made_again_is_whole(filled: Path, stores: Any, message: Any) -> None:
    store = stores.open()
    store.delete_topic("Other")
    for number in range(5):
        store.put(message(number, topic="Other"))
    store.close()
    report = verify(filled).report
    assert (report.verdict, report.findings) == (Verdict.WHOLE, [])


def test_a_store_whose_first_segments_expired_is_whole(filled: Path, stores: Any, message: Any, clock: Any) -> None:
    store = stores.open(reserved_hours=1)
    clock.now += 2 * 3_600_000
    for number in range(100):
        store.put(message(number))
    assert store.delete_expired(clock.now, at_any_hour=True)
    store.close()
    report = verify(filled).report
    assert report.first > 0
    assert (report.verdict, report.findings) == (Verdict.WHOLE, [])


def test_messages_of_transactions_need_no_place_in_a_queue(stores: Any, message: Any) -> None:
    store = stores.open()
    for sys_flag in (0x4, 0x8, 0xC, 0x0):
        store.put(message(sys_flag, sys_flag=sys_flag))
    store.close()
    report = verify(stores.root).report
    assert (report.verdict, report.records, report.queue_entries) == (Verdict.WHOLE, 4, 2)


def test_progress_reaches_the_end(filled: Path) -> None:
    told: list[tuple[int, int]] = []
    report = verify(filled, progress=lambda done, whole: told.append((done, whole))).report
    assert told[-1][0] <= told[-1][1] <= report.end - report.first + SEGMENT


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    for root, why in ((tmp_path / "nowhere", "no such directory"), (tmp_path, "is no store")):
        with pytest.raises(NotAStore, match=why):
            verify(root)

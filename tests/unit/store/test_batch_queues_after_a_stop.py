"""Queues of batches after stops and kills, with damaged files, after retention, on a slave, and made of plain ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.store import GetStatus, Outgoing
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify
from rocket_testing.batch_store import COUNT, SIZES, Batches, check_all, check_goes_on, entries, files, read

HOUR = 3_600_000


@pytest.fixture
def batches(message: Callable[..., Outgoing], stores: Any) -> Batches:
    stores.batch_topics.add("T")
    return Batches(message)


@pytest.mark.parametrize("checkpointed", range(0, len(SIZES) + 1, 3))
def test_after_a_kill_everything_is_there(stores: Any, batches: Batches, checkpointed: int) -> None:
    store = stores.open()
    batches.put_all(store, SIZES[:checkpointed])
    store.flush()
    batches.put_all(store, SIZES[checkpointed:])
    check_goes_on(stores.open(stores.killed()), batches)


def test_after_a_stop_nothing_is_read_again(stores: Any, batches: Batches, caplog: pytest.LogCaptureFixture) -> None:
    store = stores.open()
    batches.put_all(store)
    store.close()
    stores.batch_topics.clear()  # the folder says of which kind they are
    check_goes_on(stores.open(), batches)
    assert "reading the whole log again" not in caplog.text


def test_a_kill_of_the_machine_that_tears_entries_behind_the_checkpoint_loses_nothing(
    stores: Any, batches: Batches
) -> None:
    store = stores.open()
    batches.put_all(store, SIZES[:4])
    store.flush()
    batches.put_all(store, SIZES[4:])
    store._queues.write_tails()
    for keep in range(4 * 46, 8 * 46, 7):
        copy = stores.killed()
        for path in files(copy)[1:]:
            path.write_bytes(bytes(230))
        first, second = files(copy)[:2]
        content = (files(stores.root)[0].read_bytes() + files(stores.root)[1].read_bytes())[:keep].ljust(460, b"\0")
        first.write_bytes(content[:230])
        second.write_bytes(content[230:])
        check_all(stores.open(copy), batches.bodies)


@pytest.mark.parametrize(
    ("harm", "number"),
    [(harm, number) for harm in ("gone", "shorter") for number in (0, 1, -1)]
    + [(harm, -1) for harm in ("rubbish", "zeros", "no messages", "folder")],
)
def test_damaged_files_are_noticed_and_made_again(stores: Any, batches: Batches, harm: str, number: int) -> None:
    store = stores.open()
    batches.put_all(store)
    store.close()
    path = files(stores.root)[number]
    content = path.read_bytes()
    match harm:
        case "gone":
            path.unlink()
        case "shorter":
            path.write_bytes(content[:100])
        case "rubbish":
            path.write_bytes(b"\x13" * len(content))
        case "zeros":
            path.write_bytes(bytes(len(content)))
        case "no messages":
            path.write_bytes(content[:36] + b"\0\0" + content[38:])
        case "folder":
            shutil.rmtree(stores.root / "batchconsumequeue")
    check_goes_on(stores.open(), batches)


def test_another_size_of_files_makes_the_queues_again(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put_all(store)
    store.close()
    check_goes_on(stores.open(batch_queue_file_size=460), batches)


def test_from_the_log_alone_queues_are_made_whatever_the_topics_say(stores: Any, batches: Batches) -> None:
    """A batch proves what its topic's queues are, even those that were before it."""
    store = stores.open()
    batches.put_all(store, (0, 0, 3, 0, 5))
    store.close()
    shutil.rmtree(stores.root / "batchconsumequeue")
    (stores.root / "checkpoint").unlink()
    stores.batch_topics.clear()
    store = stores.open()
    check_goes_on(store, batches)
    store.close()
    assert [entry[5] for entry in entries(stores.root)] == [1, 1, 3, 1, 5, 4]
    assert not (stores.root / "consumequeue" / "T").exists()


# -- retention ---------------------------------------------------------------------------------------------------------


def expired(stores: Any, batches: Batches) -> Any:
    """A store whose first segments have gone."""
    store = stores.open(reserved_hours=1, delete_when=tuple(range(24)))
    while store.max_position < 3 * 8192:
        batches.put(store, 5)
        batches.put(store, 0)
    store.flush()
    stores.clock.now += 2 * HOUR
    assert store.delete_expired(stores.clock.now) == 3
    return store


def test_what_expired_is_gone_and_the_queue_begins_with_a_whole_batch(stores: Any, batches: Batches) -> None:
    store = expired(stores, batches)
    least = store.min_offset("T", 0)
    assert least > 0
    check_all(store, batches.bodies, least)
    assert int(files(stores.root)[0].name) > 0
    got = store.get("T", 0, 0, max_messages=1, max_bytes=1, tags=None)
    assert (got.status, got.next_offset) == (GetStatus.OFFSET_TOO_SMALL, least)
    for copy in (stores.killed(), stores.killed()):
        shutil.rmtree(copy / "batchconsumequeue") if copy.name.endswith("2") else None
        check_goes_on(stores.open(copy), batches, least)
        del batches.bodies[-4:]


@pytest.mark.parametrize("harm", ["none", "a file is gone"])
def test_a_queue_of_which_everything_expired_goes_on_where_it_was(
    stores: Any, batches: Batches, message: Callable[..., Outgoing], harm: str
) -> None:
    store = stores.open(reserved_hours=1, delete_when=tuple(range(24)))
    batches.put_all(store)
    while store.max_position < 2 * 8192:
        store.put(message(topic="Other", body=bytes(500)))
    stores.clock.now += 2 * HOUR
    store.delete_expired(stores.clock.now)
    assert (store.min_offset("T", 0), store.max_offset("T", 0)) == (COUNT, COUNT)
    store.close()
    if harm != "none":
        (files(stores.root)[-1].with_name(f"{230 * 90:020d}")).write_bytes(b"")
        files(stores.root)[0].rename(files(stores.root)[0].with_name(f"{230 * 89:020d}"))
    for _ in range(3):
        store = stores.open()
        assert store.min_offset("T", 0) == store.max_offset("T", 0)
        assert harm != "none" or store.max_offset("T", 0) == COUNT
        store.close()
    store = stores.open()
    begin = store.max_offset("T", 0)
    batches.bodies[begin:] = []
    assert batches.put(store, 3).queue_offset == begin
    check_all(store, batches.bodies, begin)


# -- a slave, and plain queues that become such of batches -------------------------------------------------------------


@pytest.mark.parametrize("knows", [True, False])
def test_a_slave_has_the_same_queues_even_before_it_knows_the_topic(
    stores: Any, batches: Batches, tmp_path: Path, knows: bool
) -> None:
    master = stores.open()
    batches.put_all(master, (0, 0, *SIZES))
    if not knows:
        stores.batch_topics.clear()
    slave = stores.open(tmp_path / "slave")
    while slave.max_position < master.max_position:
        slave.append_replica(slave.max_position, master.read_log(slave.max_position, 700, may_block=True))
    check_all(slave, batches.bodies)
    arrivals = slave.take_arrivals()
    assert [arrival.queue_offset + 1 for arrival in arrivals][-1] == len(batches.bodies)
    check_goes_on(stores.open(stores.killed(tmp_path / "slave")), batches)
    slave.close()
    assert verify(tmp_path / "slave").report.verdict is Verdict.WHOLE


@pytest.mark.parametrize("is_flushed", [False, True])
def test_plain_queues_of_a_topic_that_has_batches_become_such_at_the_next_start(
    stores: Any, batches: Batches, is_flushed: bool
) -> None:
    """What a version before this one made of such topics."""
    stores.batch_topics.clear()
    store = stores.open()
    batches.put_all(store, (0,) * 30)
    batches.put_all(store, (0,) * 2, queue_id=1)
    if is_flushed:
        store.close()
    del batches.bodies[30:]
    stores.batch_topics.add("T")
    root = stores.root if is_flushed else stores.killed()
    store = stores.open(root)
    check_goes_on(store, batches)
    assert store.max_offset("T", 1) == 2
    store.close()
    assert not (root / "consumequeue" / "T").exists()
    assert len(entries(root)) == 31
    assert verify(root).report.verdict is Verdict.WHOLE


def test_a_kill_that_leaves_queues_of_both_kinds_loses_nothing(stores: Any, batches: Batches) -> None:
    stores.batch_topics.clear()
    store = stores.open()
    batches.put_all(store, (0,) * 30)
    store.close()
    shutil.copytree(stores.root / "consumequeue", stores.root / "kept")
    stores.batch_topics.add("T")
    stores.open().close()
    shutil.rmtree(stores.root / "consumequeue")
    (stores.root / "kept").rename(stores.root / "consumequeue")
    check_goes_on(stores.open(), batches)
    assert not (stores.root / "consumequeue" / "T").exists()


def test_the_first_batch_turns_plain_queues_without_a_restart(stores: Any, batches: Batches) -> None:
    """A slave that takes over before it has seen a batch, or its master's topics."""
    stores.batch_topics.clear()
    store = stores.open()
    batches.put_all(store, (0,) * 12)
    store.flush()
    batches.put_all(store, (0, 0))
    batches.put(store, 5)
    assert store.has_batches("T")
    check_all(store, batches.bodies)
    assert read(store, 13)[0].body == batches.bodies[13]
    check_goes_on(stores.open(stores.killed()), batches)

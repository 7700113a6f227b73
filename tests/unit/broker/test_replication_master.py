"""The master's side of replication without a network: what goes to a slave, in which order, who counts as in sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from rocket_broker.config import LiveConfig
from rocket_broker.replication.master import Master, SlaveConnection
from rocket_broker.replication.protocol import REPORT, Transfer, TransferReader
from rocket_broker.settings import BrokerSettings
from rocket_broker.store.store import MessageStore
from rocket_net.properties_file import Configuration
from rocket_testing.waiting import eventually

DEADLINE = 5.0


class Log:
    """A log in memory whose reads block when the test says that they are cold."""

    def __init__(self) -> None:
        self.content = b""
        self.min_position = 0
        self.is_cold = False
        self.thread_may_read = threading.Event()
        self.thread_has_read = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def max_position(self) -> int:
        return self.min_position + len(self.content)

    def read_log(self, position: int, max_bytes: int, may_block: bool = False) -> bytes | None:
        if self.is_cold and not may_block:
            return None
        if may_block:
            assert self.thread_may_read.wait(DEADLINE)
            self._loop.call_soon_threadsafe(self.thread_has_read.set)
        start = position - self.min_position
        return self.content[start : start + max_bytes]


class Wire(asyncio.Transport):
    """The slave's end of the connection."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.7", 1234)})
        self.received: list[Transfer] = []
        self.is_closed = False
        self.is_aborted = False
        self._reader = TransferReader()

    def write(self, content: Any) -> None:
        self.received += self._reader.feed(bytes(content))

    def writelines(self, contents: Any) -> None:
        self.write(b"".join(contents))

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed

    @property
    def log(self) -> bytes:
        """The log as the slave has it, if every transfer continues the one before."""
        end = self.received[0].position
        for transfer in self.received:
            assert transfer.position == end
            end += len(transfer.content)
        return b"".join(transfer.content for transfer in self.received)


@pytest.fixture
async def log() -> AsyncIterator[Log]:
    log = Log()
    yield log
    log.thread_may_read.set()


@pytest.fixture
def master(log: Log) -> Master:
    settings = BrokerSettings(ha_transfer_batch_size=10, ha_max_gap_not_in_sync=50)
    return Master(LiveConfig(Configuration(settings, {}), None), cast(MessageStore, log))


def follow(master: Master, position: int = 0) -> tuple[SlaveConnection, Wire]:
    slave, wire = SlaveConnection(master), Wire()
    slave.connection_made(wire)
    slave.data_received(REPORT.pack(position))
    return slave, wire


async def until_idle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_slave_gets_the_whole_log_in_pieces_and_then_what_is_written(master: Master, log: Log) -> None:
    log.content = bytes(range(25))
    _, wire = follow(master)
    assert [len(transfer.content) for transfer in wire.received] == [10, 10, 5]
    log.content += b"more"
    master.written()
    await until_idle()
    assert wire.log == log.content


async def test_a_slave_goes_on_where_it_says_that_it_is(master: Master, log: Log) -> None:
    log.content = bytes(range(25))
    _, wire = follow(master, 20)
    assert wire.received == [Transfer(20, log.content[20:])]


async def test_an_empty_slave_of_a_master_whose_first_files_are_gone_starts_at_the_first_that_is_there(
    master: Master, log: Log
) -> None:
    log.min_position = 100
    log.content = b"abc"
    _, wire = follow(master)
    assert wire.received == [Transfer(100, b"abc")]


@pytest.mark.parametrize("position", [99, 104, -5, 2**62])
async def test_a_slave_that_holds_what_the_master_does_not_is_sent_nothing(
    master: Master, log: Log, position: int
) -> None:
    log.min_position = 100
    log.content = b"abc"
    slave, wire = follow(master, position)
    assert wire.is_closed
    assert wire.received == []
    assert not slave.is_following
    assert master.in_reach(103) == 0


async def test_a_slave_that_does_not_read_is_not_written_to(master: Master, log: Log) -> None:
    slave, wire = follow(master)
    slave.pause_writing()
    log.content = b"abc"
    master.written()
    await until_idle()
    assert wire.received == []
    slave.resume_writing()
    assert wire.log == b"abc"


async def test_what_is_written_while_the_disk_is_read_goes_out_after_it(master: Master, log: Log) -> None:
    """A cold stretch is read in a thread; a read that finds it warm meanwhile must not send it first."""
    log.content = bytes(range(25))
    log.is_cold = True
    slave, wire = follow(master)
    await until_idle()
    log.is_cold = False
    log.content += b"more"
    master.written()
    slave.data_received(REPORT.pack(0))
    await until_idle()
    log.thread_may_read.set()
    await asyncio.wait_for(log.thread_has_read.wait(), DEADLINE)
    await eventually(lambda: wire.received and len(wire.log) >= len(log.content), DEADLINE)
    assert wire.log == log.content


async def test_a_slave_has_what_it_says_but_never_more_than_it_was_sent(master: Master, log: Log) -> None:
    log.content = bytes(30)
    slave, _ = follow(master)
    assert slave.acknowledged == 0
    slave.data_received(REPORT.pack(20))
    assert slave.acknowledged == 20
    slave.data_received(REPORT.pack(10))
    assert slave.acknowledged == 20
    slave.data_received(REPORT.pack(10**9))
    assert slave.acknowledged == 30


async def test_who_waits_goes_on_when_enough_slaves_have_it(master: Master, log: Log) -> None:
    log.content = bytes(30)
    one, two = follow(master)[0], follow(master)[0]
    waiting = asyncio.ensure_future(master.wait(30, 2))
    await until_idle()
    one.data_received(REPORT.pack(30))
    two.data_received(REPORT.pack(29))
    await until_idle()
    assert not waiting.done()
    two.data_received(REPORT.pack(30))
    await asyncio.wait_for(waiting, DEADLINE)
    await asyncio.wait_for(master.wait(30, 2), DEADLINE)


async def test_who_gives_up_waiting_leaves_nothing_behind(master: Master, log: Log) -> None:
    log.content = bytes(30)
    slave, _ = follow(master)
    waiting = asyncio.ensure_future(master.wait(30, 1))
    await until_idle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    slave.data_received(REPORT.pack(30))


async def test_a_slave_that_is_far_behind_is_not_in_reach(master: Master, log: Log) -> None:
    log.content = bytes(100)
    slave, _ = follow(master)
    assert master.in_reach(50) == 1
    assert master.in_reach(51) == 0
    slave.data_received(REPORT.pack(60))
    assert master.in_reach(100) == 1


async def test_a_slave_that_says_nothing_yet_is_not_in_reach(master: Master) -> None:
    slave, wire = SlaveConnection(master), Wire()
    slave.connection_made(wire)
    assert master.in_reach(0) == 0
    slave.heartbeat(silence=3600)
    assert wire.received == []


async def test_a_heartbeat_is_an_empty_transfer_at_the_end(master: Master, log: Log) -> None:
    log.content = bytes(7)
    slave, wire = follow(master)
    slave.heartbeat(silence=3600)
    assert wire.received[-1] == Transfer(7, b"")


async def test_a_silent_slave_is_cut_off_even_if_it_does_not_read(master: Master, log: Log) -> None:
    """An orderly close would wait for it to read, and meanwhile it would count as in reach."""
    log.content = bytes(7)
    slave, wire = follow(master)
    slave.heartbeat(silence=-1)
    assert wire.is_aborted


async def test_a_slave_that_is_gone_does_not_count(master: Master, log: Log) -> None:
    slave, _ = follow(master)
    assert master.in_reach(0) == 1
    slave.connection_lost(None)
    assert master.in_reach(0) == 0
    assert master.connections == set()

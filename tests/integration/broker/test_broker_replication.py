"""A master and its slave: the same log byte for byte, the same tables, and reads that go on without the master."""

from __future__ import annotations

import asyncio
import struct
from typing import Protocol

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_testing.waiting import eventually
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.route import ClusterInfo
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.send import ConsumerSendMsgBack
from rocket_wire.headers.topics import DeleteTopicInBroker, GetTopicConfig

#: How long tables may take: a slave asks every 10 s.
TABLES_SECONDS = 25.0
SYNC = {"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}


class Pair:
    """A group of two, known to the shared name server, with a connection to each."""

    def __init__(self, cluster: Cluster, dial: Dial, of_group: dict[str, str]) -> None:
        self._cluster = cluster
        self._dial = dial
        self._of_group = of_group
        self.master = cluster.add_broker(**of_group)
        self.slave: Broker | None = None
        self.to_master = dial(self.master.address)

    async def add_slave(self) -> BrokerTalk:
        """Starts the slave; returns a connection to it."""
        settings = self._of_group | {"brokerId": "1", "brokerRole": "SLAVE"}
        self.slave = await asyncio.to_thread(lambda: self._cluster.add_broker(**settings))
        return self._dial(self.slave.address)

    @property
    def running_slave(self) -> Broker:
        assert self.slave is not None
        return self.slave


class NewPair(Protocol):
    """Starts a master with these properties, which its slave will have as well."""

    def __call__(self, **of_group: str) -> Pair: ...


@pytest.fixture
def new_pair(shared_cluster: Cluster, cluster: Cluster, dial: Dial, group: str) -> NewPair:
    known = {"namesrvAddr": shared_cluster.namesrv, "brokerName": f"pair-of-{group}"}
    return lambda **of_group: Pair(cluster, dial, known | of_group)


@pytest.fixture
def pair(new_pair: NewPair) -> Pair:
    return new_pair(messageDelayLevel="1s 1s 1s")


async def end(talk: BrokerTalk) -> int:
    """Where this broker's log ends, bytes."""
    answer = await talk.must(RequestCode.GET_BROKER_RUNTIME_INFO)
    return int(KVTable.decode(answer.body).table["commitLogMaxOffset"])


async def caught_up(pair: Pair, slave: BrokerTalk) -> None:
    """Returns when the slave has the master's whole log."""

    async def is_so() -> bool:
        return await end(slave) == await end(pair.to_master)

    await eventually(is_so, DEADLINE)


async def bodies(talk: BrokerTalk, topic: str, queue_id: int = 0) -> list[bytes]:
    """Every message that this broker gives of a queue."""
    return [message.body for message in await talk.read(topic, queue_id)]


def log_of(broker: Broker, size: int) -> bytes:
    files = sorted((broker.store / "commitlog").iterdir())
    return b"".join(file.read_bytes() for file in files)[:size]


# -- the log -----------------------------------------------------------------------------------------------------------


async def test_a_slave_has_the_masters_log_byte_for_byte(new_pair: NewPair) -> None:
    pair = new_pair(mappedFileSizeCommitLog="65536")
    for number in range(300):
        await pair.to_master.send("T", b"old %d" % number, queue_id=number % 4, KEYS=f"k{number}")
    slave = await pair.add_slave()
    for number in range(300):
        await pair.to_master.send("T", b"new %d" % number, queue_id=number % 4, TAGS="TagA")
    await caught_up(pair, slave)
    size = await end(slave)
    assert size > 65536
    await asyncio.to_thread(pair.running_slave.stop)
    await asyncio.to_thread(pair.master.stop)
    assert log_of(pair.running_slave, size) == log_of(pair.master, size)


async def knows_topic(talk: BrokerTalk, topic: str) -> bool:
    return (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code == 0


async def test_a_slave_goes_on_where_it_was_when_either_side_restarts(pair: Pair) -> None:
    slave = await pair.add_slave()
    await pair.to_master.send("T", b"one")
    await caught_up(pair, slave)
    await asyncio.to_thread(pair.running_slave.kill)
    await pair.to_master.send("T", b"two")
    await asyncio.to_thread(pair.running_slave.start)
    await caught_up(pair, slave)
    await asyncio.to_thread(pair.master.kill)
    await asyncio.to_thread(pair.master.start)
    await pair.to_master.send("T", b"three")
    await caught_up(pair, slave)
    follows = [line for line in pair.running_slave.log_tail(1000).splitlines() if "following master" in line]
    assert len(follows) >= 3
    assert "from position 0" not in follows[-1]


async def test_a_slave_is_registered_under_its_own_id(pair: Pair, shared_cluster: Cluster, dial: Dial) -> None:
    await pair.add_slave()
    talk = dial(shared_cluster.namesrvs[0].address)
    answer = await talk.must(RequestCode.GET_BROKER_CLUSTER_INFO)
    addresses = ClusterInfo.decode(answer.body).broker_addr_table[pair.master.broker_name].broker_addrs
    assert addresses == {0: pair.master.address, 1: pair.running_slave.address}


async def test_a_slave_may_be_told_its_master_by_its_file(cluster: Cluster, dial: Dial) -> None:
    master = await asyncio.to_thread(cluster.add_broker)
    slave = await asyncio.to_thread(
        lambda: cluster.add_broker(brokerName="broker-a", brokerId="1", haMasterAddress=f"127.0.0.1:{master.port + 1}")
    )
    to_master, to_slave = dial(master.address), dial(slave.address)
    await to_master.send("T", b"body")

    async def is_so() -> bool:
        return 0 < await end(to_slave) == await end(to_master)

    await eventually(is_so, DEADLINE)


async def test_a_slave_that_holds_what_its_master_does_not_is_refused_and_changes_nothing(pair: Pair) -> None:
    slave = await pair.add_slave()
    await pair.to_master.send("T", b"known")
    await caught_up(pair, slave)
    size = await end(slave)
    await asyncio.to_thread(pair.master.stop)
    for folder in ("commitlog", "consumequeue", "index", "checkpoint"):
        path = pair.master.store / folder
        path.rename(path.with_name(folder + ".lost"))
    await asyncio.to_thread(pair.master.start)
    await eventually(lambda: "it holds what this master does not" in pair.master.run_log(), DEADLINE)
    assert await end(slave) == size
    sent = await pair.to_master.send("T", b"other")
    assert sent.code == 0


async def test_who_is_no_slave_disturbs_nobody(pair: Pair) -> None:
    nonsense = [b"x", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, struct.pack(">q", 2**62), struct.pack(">q", -1)]
    strangers = [await Peer.connect(pair.master.port + 1) for _ in nonsense]
    for stranger, content in zip(strangers, nonsense, strict=True):
        await stranger.send_bytes(content)
    slave = await pair.add_slave()
    await pair.to_master.send("T", b"body")
    await caught_up(pair, slave)
    for stranger in strangers:
        stranger.close()
    assert "Traceback" not in pair.master.run_log()


@pytest.mark.slow
async def test_a_master_that_talks_nonsense_changes_nothing_at_its_slave(pair: Pair) -> None:
    slave = await pair.add_slave()
    await pair.to_master.send("T", b"known")
    await caught_up(pair, slave)
    size = await end(slave)
    broker = pair.running_slave
    await asyncio.to_thread(broker.stop)
    nonsense = [
        struct.pack(">qi", 0, 100) + bytes(100),
        struct.pack(">qi", size + 1, 10) + bytes(10),
        struct.pack(">qi", size, -1),
        struct.pack(">qi", size, 2**31 - 1),
        struct.pack(">qi", size, 200) + b"\xff" * 200,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ]
    said: list[bytes] = []
    all_said = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        if nonsense:
            said.append(nonsense.pop(0))
            writer.write(said[-1])
            await reader.read(100)  # it hangs up, or says how far it has come
        else:
            all_said.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    file = broker.store.parent / "broker.properties"
    file.write_text(file.read_text() + f"haMasterAddress=127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    await asyncio.to_thread(broker.start)
    await asyncio.wait_for(all_said.wait(), 30)
    server.close()
    assert await end(slave) == size
    assert "Traceback" not in broker.run_log()


# -- what a slave serves -----------------------------------------------------------------------------------------------


async def test_topics_groups_and_offsets_reach_the_slave(pair: Pair) -> None:
    await pair.to_master.send("T")
    await pair.to_master.beat("G", "T")
    await pair.to_master.commit("G", "T", 0, 1)
    config = SubscriptionGroupConfig("H", retry_max_times=3)
    await pair.to_master.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    slave = await pair.add_slave()

    async def has_them() -> bool:
        return await knows_topic(slave, "T") and await slave.offset("G", "T") == 1

    await eventually(has_them, TABLES_SECONDS)
    path = pair.running_slave.store / "config" / "subscriptionGroup.json"
    await eventually(lambda: '"H"' in path.read_text(), DEADLINE)
    assert await knows_topic(slave, "%RETRY%G")


async def test_a_topic_deleted_on_the_master_is_gone_from_the_slave(pair: Pair) -> None:
    await pair.to_master.send("T", b"old", 1)
    await pair.to_master.send("Kept", b"kept")
    slave = await pair.add_slave()
    await caught_up(pair, slave)
    await eventually(lambda: knows_topic(slave, "T"), TABLES_SECONDS)
    await pair.to_master.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker("T"))
    await eventually(lambda: "topic T is deleted" in pair.running_slave.run_log(), TABLES_SECONDS)
    await pair.to_master.send("T", b"new", 2)
    await caught_up(pair, slave)
    await asyncio.to_thread(pair.master.kill)
    assert await bodies(slave, "T", 2) == [b"new"]
    assert await bodies(slave, "T", 1) == []
    assert await bodies(slave, "Kept") == [b"kept"]


async def test_a_slave_sends_readers_to_its_master(pair: Pair) -> None:
    for _ in range(3):
        await pair.to_master.send("T")
    slave = await pair.add_slave()
    await caught_up(pair, slave)
    await eventually(lambda: knows_topic(slave, "T"), TABLES_SECONDS)
    pulled = await slave.pull("T", 0, 3)
    assert (pulled.code, pulled.header.next_begin_offset, pulled.header.suggest_which_broker_id) == (20, 3, 0)


async def test_a_pull_held_by_a_slave_is_answered_when_the_message_is_replicated(pair: Pair) -> None:
    await pair.to_master.send("T", b"first")
    slave = await pair.add_slave()
    await caught_up(pair, slave)
    await eventually(lambda: knows_topic(slave, "T"), TABLES_SECONDS)
    await asyncio.to_thread(pair.master.kill)

    async def is_held() -> bool:
        return (await slave.pull("T", 0, 1)).code == 19

    await eventually(is_held, DEADLINE)
    pulling = asyncio.ensure_future(slave.pull("T", 0, 1, suspend_ms=60_000))
    await asyncio.to_thread(pair.master.start)
    await pair.to_master.send("T", b"second")
    assert (await asyncio.wait_for(pulling, DEADLINE)).bodies == [b"second"]


async def test_a_slave_that_becomes_the_master_has_everything_and_goes_on(pair: Pair) -> None:
    for number in range(5):
        await pair.to_master.send("T", b"%d" % number)
    slave = await pair.add_slave()
    await caught_up(pair, slave)
    await eventually(lambda: knows_topic(slave, "T"), TABLES_SECONDS)
    await asyncio.to_thread(pair.master.kill)
    broker = pair.running_slave
    await asyncio.to_thread(broker.stop)
    file = broker.store.parent / "broker.properties"
    file.write_text(file.read_text().replace("brokerId=1", "brokerId=0").replace("SLAVE", "ASYNC_MASTER"))
    await asyncio.to_thread(broker.start)
    assert (await slave.send("T", b"5")).queue_offset == 5
    assert await bodies(slave, "T") == [b"%d" % number for number in range(6)]


# -- acknowledgement ---------------------------------------------------------------------------------------------------


async def test_a_synchronous_master_answers_11_alone_and_0_with_its_slave(new_pair: NewPair) -> None:
    pair = new_pair(**SYNC)
    assert (await pair.to_master.send("T", b"alone")).code == ResponseCode.SLAVE_NOT_AVAILABLE
    slave = await pair.add_slave()
    await caught_up(pair, slave)
    sent = await asyncio.gather(*(pair.to_master.send("T", b"%d" % number) for number in range(50)))
    assert {answer.code for answer in sent} == {0}
    assert await end(slave) == await end(pair.to_master)
    await asyncio.to_thread(pair.running_slave.kill)

    async def is_alone() -> bool:
        return (await pair.to_master.send("T")).code == ResponseCode.SLAVE_NOT_AVAILABLE

    await eventually(is_alone, DEADLINE)
    messages = await bodies(pair.to_master, "T")
    assert messages[0] == b"alone"


async def test_a_slave_that_hangs_is_status_12_and_then_0_again(new_pair: NewPair) -> None:
    pair = new_pair(**SYNC, slaveTimeout="200")
    slave = await pair.add_slave()
    await pair.to_master.send("T")
    await caught_up(pair, slave)
    pair.running_slave.freeze()
    assert (await pair.to_master.send("T", b"slow")).code == ResponseCode.FLUSH_SLAVE_TIMEOUT
    pair.running_slave.thaw()
    await caught_up(pair, slave)
    assert (await pair.to_master.send("T", b"quick")).code == 0


async def test_a_message_sent_back_that_no_slave_has_is_no_success(new_pair: NewPair) -> None:
    pair = new_pair(**SYNC, slaveTimeout="200")
    slave = await pair.add_slave()
    message_id = (await pair.to_master.send("T")).msg_id
    await pair.to_master.beat("G", "T")
    (message,) = await pair.to_master.read("T")
    await caught_up(pair, slave)
    pair.running_slave.freeze()
    back = ConsumerSendMsgBack(message.position, "G", 0, message_id, "T")
    answer = await pair.to_master.ask(RequestCode.CONSUMER_SEND_MSG_BACK, back)
    pair.running_slave.thaw()
    assert (answer.code, answer.remark) == (ResponseCode.SYSTEM_ERROR, "FLUSH_SLAVE_TIMEOUT")


async def test_a_message_that_need_not_wait_does_not(new_pair: NewPair) -> None:
    pair = new_pair(**SYNC)
    await pair.to_master.send("T")
    assert (await pair.to_master.send("T", WAIT="false")).code == 0


async def test_a_synchronous_master_with_one_in_its_set_is_alone_and_content(new_pair: NewPair) -> None:
    pair = new_pair(brokerRole="SYNC_MASTER")
    assert (await pair.to_master.send("T")).code == 0


async def test_a_master_stops_with_its_slave_up_to_date(pair: Pair) -> None:
    slave = await pair.add_slave()
    await pair.to_master.send("T")
    await caught_up(pair, slave)
    sending = [asyncio.ensure_future(pair.to_master.send("T", bytes(10_000))) for _ in range(200)]
    await asyncio.gather(*sending)
    size = await end(pair.to_master)
    await asyncio.to_thread(pair.master.stop)
    assert await end(slave) == size


@pytest.mark.slow
async def test_a_slave_that_hangs_for_long_is_cut_off_and_counts_no_more(new_pair: NewPair) -> None:
    pair = new_pair(**SYNC, slaveTimeout="200", haHousekeepingInterval="2000", haSendHeartbeatInterval="500")
    slave = await pair.add_slave()
    await pair.to_master.send("T")
    await caught_up(pair, slave)
    pair.running_slave.freeze()

    async def is_cut_off() -> bool:
        return (await pair.to_master.send("T", bytes(1_000_000))).code == ResponseCode.SLAVE_NOT_AVAILABLE

    await eventually(is_cut_off, 30)
    pair.running_slave.thaw()
    await caught_up(pair, slave)

"""The only file that knows all the parts: builds a broker, runs it, and stops it in order.

Start: lock and recover the store, load the tables, listen, register. Stop: unregister, let go of held pulls, answer
what is under way, save the tables, close the store. Whatever ends the process in between loses nothing that was
acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from typing import Any, Final

from rocket_broker import saved
from rocket_broker.acknowledgement import Acknowledgement, EnoughSlaves
from rocket_broker.arrivals import Arrivals
from rocket_broker.background import Background
from rocket_broker.clients import Clients
from rocket_broker.config import LiveConfig
from rocket_broker.delay import DelayOffsets, DelayService
from rocket_broker.durability import Durability
from rocket_broker.failover.driver import Duties
from rocket_broker.failover.failover import Failover
from rocket_broker.groups import ConsumerGroups
from rocket_broker.metrics import registry
from rocket_broker.offsets import ConsumerOffsets
from rocket_broker.opening import now_ms
from rocket_broker.processors import NOT_ON_FAST_PORT, table
from rocket_broker.processors.clients import connection_closed, notify_members
from rocket_broker.processors.hosts import host_bytes
from rocket_broker.processors.send import append
from rocket_broker.queue_locks import QueueLocks
from rocket_broker.registration import Registration
from rocket_broker.replication.link import MasterLink
from rocket_broker.replication.master import Master
from rocket_broker.replication.metadata import Metadata, MetadataFollower
from rocket_broker.replication.slave import Slave
from rocket_broker.roles import FixedRole
from rocket_broker.settings import MASTER_ID, BrokerRole, delay_levels, delete_hours
from rocket_broker.stamp import Stamp
from rocket_broker.state import Broker
from rocket_broker.statistics import Statistics
from rocket_broker.store.settings import Retention
from rocket_broker.store.store import MessageStore
from rocket_broker.tables import savers
from rocket_broker.topics import Topics
from rocket_net.http import LoopDelay
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_wire.bodies.groups import SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.topics import TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.message_id import UniqueKeys

log = logging.getLogger("rocket.broker")

_SAMPLE_SECONDS: Final = 10.0
_EXPIRY_SECONDS: Final = 10.0
_RETENTION_SECONDS: Final = 10.0
_FAST_PORT_DISTANCE: Final = 2
_EXIT_STORE_FAILED: Final = 74  # EX_IOERR


class BrokerServer:
    """One broker process around an open store. `start`, then `stop`, which closes it."""

    def __init__(self, config: LiveConfig, store: MessageStore) -> None:
        self.config = config
        self.store = store
        levels = delay_levels(config.settings.message_delay_level)
        self.topics = Topics(lambda: config.settings, len(levels), now_ms)
        self.groups = ConsumerGroups(lambda: config.settings, now_ms)
        self.offsets = ConsumerOffsets(now_ms)
        self.delay_offsets = DelayOffsets()
        self.savers = savers(config, self.topics, self.groups, self.offsets, self.delay_offsets)
        self._load_tables()
        store.kinds_are(self.topics.has_batches)
        self.link = MasterLink()
        self.arrivals = Arrivals()
        self.durability = Durability(self.store.sync_log, self._fatal, self._flush)
        self._background = Background(self._fatal)
        #: What runs as long as the role stays what it is.
        self._duties = Background(self._fatal)
        self.failover = self._failover()
        self.master = Master(config, self.store)
        self.slave = Slave(config, self.store, self.link, self._log_grew, self._fatal)
        self.registration = Registration(config, self.topics, self._master_found)
        self._cleaning = asyncio.Event()
        self.broker = self._broker(levels)
        self.metadata = MetadataFollower(self.link, self._metadata())
        self.delay = DelayService(
            self.store,
            self.delay_offsets,
            self.savers["delays"],
            lambda message: append(self.broker, message),
            lambda: self.durability.wait(self.store.max_position),
            now_ms,
            levels,
        )
        self.broker.delay_arrived = self.delay.arrived
        self._servers: list[Server] = []
        self.metrics = registry(self.broker, self.connections)
        self._loop_delay = LoopDelay(self.metrics)
        self._state = "starting"
        self._set_retention()

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serves. Raises AddressInUse and other OSErrors."""
        settings = self.config.settings
        self._loop_delay.start()
        handlers = table(self.broker)
        fast = {code: handler for code, handler in handlers.items() if code not in NOT_ON_FAST_PORT}
        await self._listen(handlers, settings.listen_port)
        await self._listen(fast, settings.listen_port - _FAST_PORT_DISTANCE)
        self.topics.on_change = self._topics_changed
        self.groups.on_change = lambda: self._ignore(self.savers["groups"].save())
        self.config.on_change = self._settings_changed
        for name, saver in self.savers.items():
            if name != "delays" or settings.is_master:
                saver.save()
        self._run_background()
        self.registration.start()
        if self.failover is not None:
            self._background.spawn("failover", self.failover.driver.run())
        elif settings.is_master:
            await self.master.start(settings.bind_address, settings.ha_listen_port)
            self._duties.spawn("replication", self.master.run())
            self._lead()
        else:
            self._follow(self.slave)
        self._state = "serving"

    async def stop(self) -> None:
        """Stops in order; loses nothing."""
        self._state = "stopping"
        if self.failover is not None:
            await self.failover.leave()
        await self.registration.stop()
        self.arrivals.close()
        for server in self._servers:
            await server.stop()
        await self.master.stop()
        await self.metadata.stop()
        await self._duties.end()
        await self._background.end()
        self._loop_delay.stop()
        try:
            self.store.close()
        except OSError as error:
            self._fatal(f"the store cannot be synced to disk ({error}): the next start finds out what is there")
        self.delay_offsets.durable = dict(self.delay_offsets.table)
        # A failure is in the log; one table that cannot be saved is no reason not to save the others.
        await asyncio.gather(*(saver.save() for saver in self.savers.values()), return_exceptions=True)

    def connections(self) -> int:
        """Open connections of clients."""
        return sum(len(server.connections) for server in self._servers)

    # -- the role ---------------------------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Begins what only a master does beside requests."""
        self._duties.spawn("delay", self.delay.run(self.config.settings.flush_delay_offset_interval / 1000))

    def _follow(self, slave: Slave) -> None:
        """Begins what only a slave does."""
        self._duties.spawn("replication", slave.run())
        self._duties.spawn("metadata", self.metadata.run())

    def _failover(self) -> Failover | None:
        if not self.config.settings.lease_store:
            return None
        return Failover(
            self.config, self.store, self.link, self.arrivals, self._log_grew, self._log_was_cut, self._fatal,
            Duties(
                become_master=self._become_master, become_slave=self._become_slave, follow=self._follow_again,
                stop_following=self._duties.end,
            ),
        )  # fmt: skip

    async def _become_master(self, epoch: int) -> None:
        assert self.failover is not None
        settings = self.config.settings
        self.link.address = self.link.ha_address = ""
        self.config.become(self.failover.master_role, MASTER_ID)
        self.registration.role_changed()
        self.topics.epoch = epoch
        self.topics.renew()
        await self.failover.leader.start(settings.bind_address, settings.ha_listen_port)
        self._lead()

    async def _become_slave(self) -> None:
        assert self.failover is not None
        await self._duties.end()
        self.config.become(BrokerRole.SLAVE, self.failover.slave_id)
        self.broker.locks.clear()
        self.registration.role_changed()

    async def _follow_again(self) -> None:
        assert self.failover is not None
        await self._duties.end()
        self._follow(self.failover.follower)

    async def _listen(self, handlers: Any, port: int) -> None:
        settings = self.config.settings
        limits = Limits(
            max_frame_bytes=max(16 * 1024 * 1024, settings.max_message_size + 1024 * 1024),
            idle_seconds=settings.server_channel_max_idle_time_seconds,
        )
        server = Server(handlers, limits, on_close=lambda connection: connection_closed(self.broker, connection))
        await server.start(settings.bind_address, port)
        self._servers.append(server)

    # -- building ---------------------------------------------------------------------------------------------------

    def _broker(self, levels: tuple[int, ...]) -> Broker:
        store_host = host_bytes(self.config.settings.address)
        failover = self.failover
        replicas = failover.confirmation if failover is not None else EnoughSlaves(self.config, self.master)
        acknowledgement = Acknowledgement(self.config, self.durability, replicas, self.savers["topics"])
        return Broker(
            config=self.config,
            store=self.store,
            topics=self.topics,
            groups=self.groups,
            offsets=self.offsets,
            clients=Clients(),
            locks=QueueLocks(),
            arrivals=self.arrivals,
            acknowledgement=acknowledgement,
            role=failover or FixedRole(self.config, self.arrivals),
            registration=self.registration,
            master=self.link,
            slaves=(failover or self.master).positions,
            written=(failover or self.master).written,
            clean=self._cleaning.set,
            statistics=Statistics(time.monotonic, now_ms()),
            topics_saver=self.savers["topics"],
            groups_saver=self.savers["groups"],
            delay_levels=levels,
            delay_offsets=self.delay_offsets.encode,
            store_host=store_host,
            stamp=Stamp(self.config.settings, store_host),
            unique_keys=UniqueKeys(store_host[:-4], os.getpid(), self.config.settings.listen_port),
            now=time.monotonic,
            now_ms=now_ms,
        )

    def _load_tables(self) -> None:
        folder = self.config.settings.config_folder
        topics = saved.load(folder / "topics.json", TopicConfigSerializeWrapper.decode)
        groups = saved.load(folder / "subscriptionGroup.json", SubscriptionGroupWrapper.decode)
        offsets = saved.load(folder / "consumerOffset.json", ConsumerOffsetSerializeWrapper.decode)
        delays = saved.load(folder / "delayOffset.json", DelayOffsetSerializeWrapper.decode)
        if topics is not None:
            self.topics.restore(topics)
        if not (folder / "topics.json").exists():  # it is lost, and a backup may be older than the newest topics
            self._learn_topics()
        if groups is not None:
            self.groups.restore(groups)
        if offsets is not None:
            self.offsets.restore(offsets)
        if delays is not None:
            self.delay_offsets.restore(delays)

    def _learn_topics(self) -> None:
        for topic, queue_id in self.store.queues():
            if topic not in self.topics.table:
                log.warning("topic %s is known again from its messages", topic)
            self.topics.learn(topic, queue_id, has_batches=self.store.has_batches(topic))

    def _metadata(self) -> Metadata:
        return Metadata(
            topics=self.topics,
            groups=self.groups,
            offsets=self.offsets,
            delay_offsets=self.delay_offsets,
            savers=self.savers,
            topics_changed=lambda: self.registration.topics_changed(self.topics.table.values()),
            store=self.store,
        )

    # -- what runs beside requests ----------------------------------------------------------------------------------

    def _run_background(self) -> None:
        self._background.spawn(
            "flush", self.durability.flush_every(lambda: self.config.settings.flush_interval_commit_log / 1000)
        )
        self._background.every(
            "consumer offsets", lambda: self.config.settings.flush_consumer_offset_interval / 1000, self._save_offsets
        )
        self._background.every("samples", lambda: _SAMPLE_SECONDS, self.broker.statistics.sample)
        self._background.every("expiry", lambda: _EXPIRY_SECONDS, self._expire_clients)
        self._background.spawn("retention", self._retention())

    def _save_offsets(self) -> None:
        if self.offsets.changed:
            self.savers["offsets"].save()

    def _expire_clients(self) -> None:
        silent_since = time.monotonic() - self.config.settings.channel_expired_timeout / 1000
        for connection in self.broker.clients.expire(silent_since):
            log.info(
                "client %s sent no heartbeat for %d ms: closing",
                connection.peer,
                self.config.settings.channel_expired_timeout,
            )
            notify_members(self.broker, self.broker.clients.forget(connection))
            connection.close()

    async def _retention(self) -> None:
        """Now and then, and when a request asks for it; the files go in a thread."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._cleaning.wait(), _RETENTION_SECONDS)
            is_asked = self._cleaning.is_set()
            self._cleaning.clear()
            await asyncio.to_thread(self.store.cleaner.delete, now_ms(), at_any_hour=is_asked)
            self.store.trim()

    # -- what the parts tell each other -----------------------------------------------------------------------------

    def _topics_changed(self, changed: list[TopicConfig]) -> None:
        self._ignore(self.savers["topics"].save())
        self.registration.topics_changed(changed)

    def _set_retention(self) -> None:
        settings = self.config.settings
        self.store.cleaner.keep = Retention(
            reserved_hours=settings.file_reserved_time,
            delete_when=delete_hours(settings.delete_when),
            max_used_ratio=settings.disk_max_used_space_ratio / 100,
            forced_ratio=settings.disk_space_clean_forcibly_ratio / 100,
            warning_ratio=settings.disk_space_warning_level_ratio / 100,
            clean_forcibly=settings.clean_file_forcibly_enable,
        )

    def _settings_changed(self, keys: set[str]) -> None:
        self._set_retention()
        self.broker.stamp = Stamp(self.config.settings, self.broker.store_host)
        if "namesrvAddr" in keys:
            self.registration.start()
        if "brokerPermission" in keys:
            self.topics.renew()

    def _master_found(self, ha_address: str, address: str) -> None:
        if self.failover is not None:
            self.failover.driver.heard(ha_address, address)
        elif not self.config.settings.is_master:
            self.link.address, self.link.ha_address = address, ha_address

    def _log_grew(self) -> None:
        for arrival in self.store.take_arrivals():
            topic = arrival.topic
            self.topics.learn(topic, arrival.queue_id, has_batches=self.store.has_batches(topic))
            self.broker.role.arrived(*arrival)

    def _log_was_cut(self, position: int, delivered: Counter[int]) -> None:
        self.durability.cut(position)
        self.delay_offsets.undo(delivered)

    def ready(self) -> tuple[bool, str]:
        """Whether it serves, and in a sentence what it does or waits for."""
        if self._state != "serving":
            return False, self._state
        if not self.registration.is_registered:
            unresolved = "".join(f"; {name} cannot be resolved" for name in self.registration.unresolved)
            return False, f"no name server knows this broker yet{unresolved}"
        return True, "registered"

    def _flush(self) -> int:
        self.store.flush()
        return self.store.flushed_position

    def _fatal(self, reason: str) -> None:
        log.critical("%s", reason)
        logging.shutdown()
        os._exit(_EXIT_STORE_FAILED)

    @staticmethod
    def _ignore(saving: asyncio.Future[None]) -> None:
        """A save that nobody awaits; its failure is in the log."""

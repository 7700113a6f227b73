"""Telling every name server what this broker is and which topics it has (protocol section 3.7).

Each name server has a task of its own, so a slow or absent one keeps no other waiting: the whole table at the start,
every 30 s and after a lost connection; only the changed topics at once when a topic changes. A failure is retried with
growing pauses and logged once until it is over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import zlib
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from rocket_broker.config import LiveConfig
from rocket_broker.lookup import Lookup
from rocket_broker.settings import BrokerSettings
from rocket_broker.topics import Topics
from rocket_net.client import Client
from rocket_net.errors import TransportError
from rocket_wire.bodies.registration import RegisterBrokerBody
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.errors import RequestError
from rocket_wire.headers.routes import RegisterBroker, RegisterBrokerAnswer, UnregisterBroker

log = logging.getLogger("rocket.registration")

_FIRST_PAUSE: Final = 0.2
_LAST_PAUSE: Final = 5.0
_UNREGISTER_SECONDS: Final = 2.0
#: How long the registration of one topic may take. A connection that a firewall forgot shows by that; a whole
#: registration has registerBrokerTimeoutMills, for which new topics would not be known.
_SINGLE_TOPIC_SECONDS: Final = 5.0
#: More topics that change at once are a whole registration.
_MOST_SINGLE_TOPICS: Final = 16
#: Topics of one frame: 2 MB where all have the longest name.
_MOST_TOPICS: Final = 5000


class Registration:
    """Keeps this broker registered with each name server of the settings.

    `on_master` is called with what a registration answers about the group's master: its HA address and its address.
    """

    def __init__(self, config: LiveConfig, topics: Topics, on_master: Callable[[str, str], None]) -> None:
        self._config = config
        self._topics = topics
        self._on_master = on_master
        self._client = Client(on_close=self._connection_lost)
        self._links: dict[str, _Link] = {}
        self._lookup = Lookup(self._follow)
        self._change = 0
        self._changed: dict[str, int] = {}

    def start(self) -> None:
        """Begins, or after a change of `namesrvAddr` goes on with the new list."""
        self._lookup.start(self._config.settings)

    def _follow(self, wanted: tuple[str, ...]) -> None:
        """From now on, these are the name servers."""
        for address in self._links.keys() - set(wanted):
            self._links.pop(address).stop()
        for address in wanted:
            if address not in self._links:
                self._links[address] = _Link(self, address)

    def role_changed(self) -> None:
        """The broker has another id: every name server is told all at once, and forgets the address's old id by it."""
        for link in self._links.values():
            link.start_over()

    def topics_changed(self, configs: Iterable[TopicConfig]) -> None:
        """These topics are new or changed: name servers are told at once."""
        self._change += 1
        for config in configs:
            self._changed[config.topic_name] = self._change
        for link in self._links.values():
            link.wake.set()

    async def announced(self) -> None:
        """Returns when every name server in reach has heard of all changes so far."""
        change = self._change
        for link in list(self._links.values()):
            await link.heard(change)

    @property
    def is_registered(self) -> bool:
        """Whether a name server knows this broker; True as well where none is configured."""
        if not self._config.settings.name_servers:
            return True
        return any(link.is_registered for link in self._links.values())

    @property
    def unresolved(self) -> list[str]:
        """Names of name servers that lead to no address."""
        return self._lookup.unresolved

    async def stop(self) -> None:
        """Unregisters everywhere: clients must not be sent to a broker that is gone."""
        self._lookup.stop()
        for link in self._links.values():
            link.stop()
        await asyncio.gather(*(self._unregister(address) for address in self._links))
        await self._client.close()

    async def _unregister(self, address: str) -> None:
        settings = self._config.settings
        header = UnregisterBroker(
            settings.broker_name, settings.address, settings.broker_cluster_name, settings.broker_id
        )
        try:
            await self._client.call(address, request(RequestCode.UNREGISTER_BROKER, header), _UNREGISTER_SECONDS)
        except TransportError as error:
            log.info("name server %s is not told that this broker stops: %s", address, error)

    def _connection_lost(self, address: str) -> None:
        link = self._links.get(address)
        if link is not None:
            link.connection_lost()

    async def register(self, address: str, since: int) -> int:
        """Registers what changed after change number `since` (0: everything); returns the number it covers.

        Changed topics go one by one: a name server that has forgotten this broker refuses a single topic, but would
        take several for all there are.
        """
        change = self._change
        changed = [name for name, number in self._changed.items() if number > since]
        if not since or len(changed) > _MOST_SINGLE_TOPICS:
            await self._register_all(address)
            return change
        for name in changed:
            config = self._topics.get(name)
            if config is not None:
                await self._register(address, {name: config}, self._topics.version, _SINGLE_TOPIC_SECONDS)
        return change

    async def _register_all(self, address: str) -> None:
        """The whole table; in parts where it might not fit into a frame, each of a version of its own.

        A name server that is told the version which it knows takes over nothing, so the last part alone has the
        table's, and the others are of versions before it.
        """
        topics, version = list(self._topics.table.items()), self._topics.version
        for begin in range(0, max(1, len(topics)), _MOST_TOPICS):
            later = (len(topics) - 1 - begin) // _MOST_TOPICS
            part = msgspec.structs.replace(version, counter=version.counter - max(0, later))
            await self._register(address, dict(topics[begin : begin + _MOST_TOPICS]), part)

    async def _register(
        self, address: str, table: dict[str, TopicConfig], version: DataVersion, within: float = math.inf
    ) -> None:
        settings = self._config.settings
        wrapper = TopicConfigAndMappingSerializeWrapper(_permitted(settings, table), version)
        body = RegisterBrokerBody(wrapper).encode()
        header = RegisterBroker(
            settings.broker_name,
            settings.address,
            settings.broker_cluster_name,
            settings.ha_address,
            settings.broker_id,
            body_crc32=zlib.crc32(body) & 0x7FFFFFFF,
        )
        timeout = min(within, settings.register_broker_timeout_mills / 1000)
        reply = await self._client.call(address, request(RequestCode.REGISTER_BROKER, header, body), timeout)
        reply.raise_for_code()
        answer = reply.header(RegisterBrokerAnswer)
        self._on_master(answer.ha_server_addr or "", answer.master_addr or "")

    @property
    def period_seconds(self) -> float:
        """Seconds between whole registrations, kept between 10 and 60 as in Apache's."""
        return min(max(self._config.settings.register_name_server_period / 1000, 10), 60)


class _Link:
    """One name server: what it has heard, and the task that tells it."""

    def __init__(self, registration: Registration, address: str) -> None:
        self.is_registered = False
        self.wake = asyncio.Event()
        self._registration = registration
        self._address = address
        self._heard = 0
        self._must_repeat = True
        self._failing = False
        self._progress = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"registration with {address}")

    def stop(self) -> None:
        self._task.cancel()

    def connection_lost(self) -> None:
        """It has forgotten this broker: a name server drops a broker whose connection closes."""
        self.is_registered = False
        self.start_over()

    def start_over(self) -> None:
        """The next registration, which is due now, is a whole one."""
        self._must_repeat = True
        self.wake.set()

    async def heard(self, change: int) -> None:
        """Returns when this name server has heard of the change, or cannot be reached."""
        while self._heard < change and not self._failing:
            self._progress.clear()
            await self._progress.wait()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause, whole_due = _FIRST_PAUSE, loop.time()
        while True:
            self.wake.clear()
            since = 0 if self._must_repeat or loop.time() >= whole_due else self._heard
            self._must_repeat = False  # a connection that is lost from here on sets it again
            try:
                heard = await self._registration.register(self._address, since)
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
                continue
            self._succeeded(heard)
            if not since:
                whole_due = loop.time() + self._registration.period_seconds
            pause = _FIRST_PAUSE
            await self._wait(max(0.0, whole_due - loop.time()))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            return

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, (TransportError, RequestError)):  # a fault of ours, which must not end this task
            log.error("registration with name server %s failed", self._address, exc_info=error)
        elif not self._failing:
            log.warning("name server %s does not know this broker: %s; trying on", self._address, error)
        self._failing, self.is_registered, self._must_repeat = True, False, True
        self._progress.set()

    def _succeeded(self, heard: int) -> None:
        if not self.is_registered:
            log.info("registered with name server %s", self._address)
        self._heard, self._failing, self.is_registered = heard, False, not self._must_repeat
        self._progress.set()


def _permitted(settings: BrokerSettings, table: dict[str, TopicConfig]) -> dict[str, TopicConfig]:
    """The topics as this broker may serve them: a cordoned broker offers no writes (operator section 5.4)."""
    mask = settings.broker_permission
    if mask & 6 == 6:
        return table
    return {name: msgspec.structs.replace(config, perm=config.perm & (mask | 1)) for name, config in table.items()}

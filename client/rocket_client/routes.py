"""Where a topic's queues are, and who serves them: one value a topic, replaced as a whole when it changes.

`Route` is pure. `RouteTable` keeps the routes that a client uses: asks the name servers when one is first needed, again
every 30 s, and at once when somebody found that a route is wrong. A route that cannot be asked again stays in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rocket_client.errors import NoBroker, RocketError, TopicNotFound
from rocket_client.nameservers import NameServers
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.route import TopicRouteData
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command, request
from rocket_wire.headers.routes import GetRouteinfoByTopic
from rocket_wire.topic_names import AUTO_CREATE_TOPIC

log = logging.getLogger("rocket.client")

MASTER: Final = 0
#: The topic whose route stands for that of a topic that will be made by the first send to it (protocol section 6.1).

_READ, _WRITE = 4, 2


@dataclass(frozen=True)
class Route:
    """One topic. Queues are sorted by broker name and id; `brokers` has addresses by id by broker name."""

    topic: str
    queues_to_write: tuple[MessageQueue, ...] = ()
    queues_to_read: tuple[MessageQueue, ...] = ()
    brokers: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    #: True for the guess that stands in for a topic which does not exist yet.
    is_template: bool = False

    def master(self, broker_name: str) -> str | None:
        """The address of a broker group's master, if it has one."""
        return self.brokers.get(broker_name, {}).get(MASTER)

    def address(self, broker_name: str, broker_id: int = MASTER) -> str | None:
        """The address of this member of a broker group, else its master's, else any other's."""
        members = self.brokers.get(broker_name, {})
        return members.get(broker_id) or members.get(MASTER) or next(iter(members.values()), None)

    def addresses(self, masters_only: bool = False) -> set[str]:
        """Everybody who has a part in this topic."""
        return {
            address
            for members in self.brokers.values()
            for broker_id, address in members.items()
            if broker_id == MASTER or not masters_only
        }


def route_of(topic: str, data: TopicRouteData, template_queues: int | None = None) -> Route:
    """The route that a name server's answer describes.

    With `template_queues`, `data` is the template topic's and the route is the one that `topic` would get by a send
    that asks for so many queues. A queue can be written where its broker group has a master; a globally ordered topic
    lists its queues for writing by itself.
    """
    brokers = {each.broker_name: dict(each.broker_addrs) for each in data.broker_datas if each.broker_addrs}
    write: list[MessageQueue] = []
    read: list[MessageQueue] = []
    for queues in data.queue_datas:
        if queues.perm & _READ:
            read += _queues(topic, queues.broker_name, _limited(queues.read_queue_nums, template_queues))
        if queues.perm & _WRITE and MASTER in brokers.get(queues.broker_name, {}):
            write += _queues(topic, queues.broker_name, _limited(queues.write_queue_nums, template_queues))
    if data.order_topic_conf:
        write = _ordered_queues(topic, data.order_topic_conf)
    return Route(topic, tuple(sorted(write)), tuple(sorted(read)), brokers, template_queues is not None)


class RouteTable:
    """The routes that one client uses. `on_change(route)` is called for each route that is new or became another."""

    def __init__(self, namesrv: NameServers, on_change: Callable[[Route], None] | None = None) -> None:
        self._namesrv = namesrv
        self._on_change = on_change
        self._routes: dict[str, Route] = {}
        self._asking: dict[tuple[str, int | None], asyncio.Task[Route]] = {}

    @property
    def known(self) -> list[Route]:
        """The routes in use."""
        return list(self._routes.values())

    def cached(self, topic: str) -> Route | None:
        """The topic's route if it is in use."""
        return self._routes.get(topic)

    async def get(self, topic: str, timeout: float = 3.0, template_queues: int | None = None) -> Route:
        """The topic's route. `template_queues` allows a topic that does not exist yet, with so many queues.

        Raises TopicNotFound, NoNameServer or BrokerError.
        """
        return self._routes.get(topic) or await self.refresh(topic, timeout, template_queues)

    async def refresh(self, topic: str, timeout: float = 3.0, template_queues: int | None = None) -> Route:
        """The topic's route, asked anew; who asks for the same topic at the same time shares the answer."""
        key = (topic, template_queues)
        task = self._asking.get(key)
        if task is None or task.done():
            task = asyncio.ensure_future(self._ask(topic, timeout, template_queues))
            task.add_done_callback(_retrieved)
            self._asking[key] = task
        return await asyncio.shield(task)

    async def refresh_all(self) -> None:
        """Every route in use is asked anew; failures are logged and leave the route as it is."""
        for route in self.known:
            try:
                await self.refresh(route.topic, template_queues=_template_queues(route))
            except RocketError as error:
                log.warning("the route of topic %s stays as it was: %s", route.topic, error)

    def forget(self, topic: str) -> None:
        """The route is no longer needed."""
        self._routes.pop(topic, None)

    def close(self) -> None:
        """Ends questions under way."""
        for task in self._asking.values():
            task.cancel()

    async def _ask(self, topic: str, timeout: float, template_queues: int | None) -> Route:
        deadline = asyncio.get_running_loop().time() + timeout
        data = await self._namesrv.ask(_request(topic), _read_route, timeout)
        route = None if data is None else route_of(topic, data)
        if route is None and template_queues is not None:
            left = max(0.1, deadline - asyncio.get_running_loop().time())
            data = await self._namesrv.ask(_request(AUTO_CREATE_TOPIC), _read_route, left)
            route = None if data is None else route_of(topic, data, template_queues)
        if route is None:
            raise TopicNotFound(topic)
        self._keep(route)
        return route

    def _keep(self, route: Route) -> None:
        before = self._routes.get(route.topic)
        self._routes[route.topic] = route
        if before != route and self._on_change is not None:
            log.info("the route of topic %s: brokers %s", route.topic, sorted(route.brokers))
            self._on_change(route)


def no_queue(route: Route, verb: str) -> NoBroker:
    """Why nothing of this topic can be written or read now, and what to do."""
    groups = ", ".join(f"{name} ({'no master' if 0 not in ids else 'up'})" for name, ids in route.brokers.items())
    return NoBroker(
        f"topic {route.topic!r} has no queue to {verb} now; broker groups: {groups or 'none'}. "
        "Check that its masters run and that its permission allows it"
    )


def _request(topic: str) -> Command:
    header = GetRouteinfoByTopic(topic=topic, accept_standard_json_only=True)
    return request(RequestCode.GET_ROUTEINFO_BY_TOPIC, header)


def _read_route(answer: Command) -> TopicRouteData:
    return TopicRouteData.decode(answer.body)


def _queues(topic: str, broker_name: str, count: int) -> list[MessageQueue]:
    return [MessageQueue(topic, broker_name, queue_id) for queue_id in range(count)]


def _limited(count: int, limit: int | None) -> int:
    return count if limit is None else min(count, limit)


def _ordered_queues(topic: str, configuration: str) -> list[MessageQueue]:
    queues: list[MessageQueue] = []
    for part in configuration.split(";"):
        broker_name, _, count = part.strip().partition(":")
        if broker_name and count.isdigit():
            queues += _queues(topic, broker_name, int(count))
    return queues


def _template_queues(route: Route) -> int | None:
    if not route.is_template:
        return None
    return max((queue.queue_id for queue in route.queues_to_write), default=0) + 1


def _retrieved(task: asyncio.Task[Route]) -> None:
    if not task.cancelled():
        task.exception()

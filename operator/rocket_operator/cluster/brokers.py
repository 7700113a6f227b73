"""What the operator asks of name servers and brokers, and tells them, by their own protocol.

Every pod is asked by its address, with a short deadline; one that does not answer is simply not seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self, TypeVar

from rocket_client import RocketError, ServerAdmin
from rocket_client.servers import Readers
from rocket_operator.cluster.needs import Needs
from rocket_operator.objects.broker import READ_ONLY
from rocket_operator.rollout.steps import Configure, CopyMetadata, DeleteMetadata, HandOver, Unregister
from rocket_operator.rollout.view import Blocker, Broker, Pod, View
from rocket_wire.headers.routes import UnregisterBroker

log = logging.getLogger("rocket.operator")

T = TypeVar("T")

BrokerStep = Configure | CopyMetadata | DeleteMetadata | HandOver | Unregister

_QUESTION_SECONDS = 3.0
_CHANGE_SECONDS = 10.0


class Refused(Exception):
    """A broker or name server did not do what it was told. The text says which, what, and its words."""


class Brokers(Protocol):
    """Who speaks with name servers and brokers."""

    async def observe(self, view: View, needs: Needs) -> Mapping[str, Broker]:
        """What the brokers say that answer, by pod."""

    async def routes(self, view: View) -> Mapping[str, frozenset[str]]:
        """The names of the brokers that each name server knows, by its address, of those that answer."""

    async def act(self, step: BrokerStep) -> None:
        """Tells a broker or name server. Raises Refused."""


class WireBrokers:
    """Speaks with them over the network. Use it with `async with`."""

    def __init__(self) -> None:
        self._servers = ServerAdmin(_QUESTION_SECONDS)

    async def __aenter__(self) -> Self:
        await self._servers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._servers.__aexit__(kind, error, trace)

    async def observe(self, view: View, needs: Needs) -> Mapping[str, Broker]:
        pods = [pod for pod in view.observed.pods if pod.group is not None and pod.ip and not pod.terminating]
        readers = await self._readers(view, needs.backlog) if needs.backlog is not None else None
        found = await asyncio.gather(*(self._broker(view, pod, needs, readers) for pod in pods))
        seen = {pod.name: broker for pod, broker in zip(pods, found, strict=True) if broker is not None}
        return await self._with_lags(view, [pod for pod in pods if pod.name in seen], seen)

    async def routes(self, view: View) -> Mapping[str, frozenset[str]]:
        pods = [pod for pod in view.observed.pods if pod.group is None and pod.ip and not pod.terminating]
        addresses = [view.address(pod) for pod in pods]
        answers = await asyncio.gather(*(_answer(self._known(address)) for address in addresses))
        return {address: known for address, known in zip(addresses, answers, strict=True) if known is not None}

    async def act(self, step: BrokerStep) -> None:
        try:
            async with asyncio.timeout(_CHANGE_SECONDS):
                await self._act(step)
        except (RocketError, TimeoutError) as error:
            raise Refused(f"{step.target} did not do what it was told ({step.why}): {error or 'no answer'}") from None

    async def _act(self, step: BrokerStep) -> None:
        match step:
            case Configure():
                await self._servers.update_broker_config(step.address, step.settings)
            case CopyMetadata():
                if step.topics:
                    await self._servers.update_topics(step.address, step.topics)
                if step.consumer_groups:
                    await self._servers.update_groups(step.address, step.consumer_groups)
            case DeleteMetadata():
                if step.topic is not None:
                    await self._servers.delete_topic(step.address, step.topic)
                if step.consumer_group is not None:
                    await self._servers.delete_group(step.address, step.consumer_group)
            case HandOver():
                await self._servers.hand_over(step.address, step.to)
            case Unregister():
                await self._unregister(step)

    async def _unregister(self, step: Unregister) -> None:
        known = await self._servers.known_brokers(step.name_server)
        broker = known.broker_addr_table.get(step.broker_name)
        if broker is None:
            return
        for number, address in broker.broker_addrs.items():
            header = UnregisterBroker(step.broker_name, address, broker.cluster, number)
            await self._servers.unregister_broker(step.name_server, header)

    async def _readers(self, view: View, leaving: int) -> Readers | None:
        """Who reads what on the groups that stay; None while one of their masters does not say."""
        staying = [group.index for group in view.active_groups() if group.index != leaving]
        pods = {pod.group: pod for pod in view.observed.pods if pod.is_master and pod.ip and not pod.terminating}
        if not pods.keys() >= set(staying):
            return None
        answers = await asyncio.gather(*(_answer(self._servers.readers(view.address(pods[each]))) for each in staying))
        found: defaultdict[str, set[str]] = defaultdict(set)
        for answer in answers:
            if answer is None:
                return None
            for topic, groups in answer.items():
                found[topic] |= groups
        return found

    async def _broker(self, view: View, pod: Pod, needs: Needs, readers: Readers | None) -> Broker | None:
        address = view.address(pod)
        settings = await _answer(self._servers.broker_config(address))
        if settings is None:
            return None
        topics = groups = backlog = None
        if needs.metadata and pod.is_master:
            topics = await _answer(self._servers.topics(address))
            groups = await _answer(self._servers.groups(address))
        closed = settings.get("brokerPermission") == READ_ONLY
        if needs.backlog == pod.group and pod.is_master and closed and readers is not None:
            found = await _answer(self._servers.backlog(address, readers))
            backlog = (
                None if found is None else tuple(Blocker(each.topic, each.group, each.remaining) for each in found)
            )
        return Broker(settings, topics=topics, consumer_groups=groups, backlog=backlog)

    async def _with_lags(self, view: View, pods: Iterable[Pod], seen: Mapping[str, Broker]) -> Mapping[str, Broker]:
        """What masters know of their slaves, with the slaves."""
        by_place = {(pod.group, pod.ip): pod for pod in pods if not pod.is_master}
        masters = [pod for pod in pods if pod.is_master]
        answers = await asyncio.gather(*(_answer(self._servers.slaves(view.address(pod))) for pod in masters))
        found = dict(seen)
        for master, slaves in zip(masters, answers, strict=True):
            for slave in slaves or ():
                pod = by_place.get((master.group, slave.address.rpartition(":")[0].strip("[]") or slave.address))
                if pod is not None:
                    found[pod.name] = seen[pod.name].with_lag(slave.behind)
        return found

    async def _known(self, address: str) -> frozenset[str]:
        return frozenset((await self._servers.known_brokers(address)).broker_addr_table)


async def _answer(question: Awaitable[T]) -> T | None:
    """The answer; None where there was none, which the next look asks again."""
    try:
        async with asyncio.timeout(_QUESTION_SECONDS):
            return await question
    except (RocketError, TimeoutError) as error:
        log.debug("no answer: %s", error)
        return None

"""Questions to the name servers: any of them can answer, none knows of the others (protocol section 3.7).

The choice is sticky, since every name server is asked for the same routes; one that is down, slow or answers garbage is
left for the next one in the list. "No such topic" is believed only when every name server that answers says so: one
that has just started knows nothing yet.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, TypeVar

from rocket_client.errors import BrokerError, InvalidMessage, NoNameServer
from rocket_net.client import Client, split_address
from rocket_net.dispatch import code_name
from rocket_net.errors import ConnectFailed, TransportError
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError

log = logging.getLogger("rocket.client")

T = TypeVar("T")

#: How long a name server that failed is asked last, seconds.
_AVOID_SECONDS: Final = 10.0
#: How long another name server may take to contradict one that knows no such topic, seconds.
_CONFIRM_SECONDS: Final = 0.5
_ABSENT: Final = frozenset({ResponseCode.TOPIC_NOT_EXIST, ResponseCode.QUERY_NOT_FOUND})


class NameServers:
    """The name servers of one client."""

    def __init__(self, addresses: str, net: Client) -> None:
        self.addresses = parse_addresses(addresses)
        self._net = net
        self._first = random.choice(self.addresses)
        self._avoided: dict[str, float] = {}

    async def ask(self, request: Command, read: Callable[[Command], T], timeout: float) -> T | None:
        """What `read` makes of the first usable answer; None where what was asked for does not exist.

        `timeout` (seconds) is for all tries together. Raises NoNameServer, or BrokerError where a name server
        understood the request and refused it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        failures: list[str] = []
        absent = False
        order = self._order(loop.time())
        for tried, address in enumerate(order):
            if absent and self._is_avoided(address, loop.time()):
                break
            within = max(0.05, (deadline - loop.time()) / (len(order) - tried))
            if absent:
                within = min(within, _CONFIRM_SECONDS)
            try:
                answer = await self._net.call(address, request, within)
                if answer.code not in _ABSENT:
                    value = _read(answer, read, address, request)
                    self._first = address
                    return value
                absent = True
            except (TransportError, ProtocolError, RequestError) as error:
                self._avoided[address] = loop.time() + _AVOID_SECONDS
                text = str(error)
                failures.append(text if address in text else f"{address}: {text}")
                log.info("name server %s is left for the next one: %s", address, error)
        if absent:
            return None
        raise NoNameServer(
            f"no name server answered {code_name(request.code)}: {'; '.join(failures)}. "
            "Check the address list (host:port;host:port) and that a name server runs there"
        )

    def _order(self, now: float) -> list[str]:
        """The one that answered last, then the others in their order, those that failed lately at the end."""
        begin = self.addresses.index(self._first)
        order = [*self.addresses[begin:], *self.addresses[:begin]]
        return sorted(order, key=lambda address: self._is_avoided(address, now))

    def _is_avoided(self, address: str, now: float) -> bool:
        return self._avoided.get(address, 0.0) > now

    async def ask_each(self, request: Command, timeout: float) -> None:
        """Asks every name server, for changes that each must know. Raises the first BrokerError or NoNameServer."""
        for address in self.addresses:
            try:
                answer = await self._net.call(address, request, timeout)
            except TransportError as error:
                raise NoNameServer(f"{address} did not answer {code_name(request.code)}: {error}") from error
            if answer.code != ResponseCode.SUCCESS:
                raise _refusal(answer, address, request)


def parse_addresses(text: str) -> tuple[str, ...]:
    """The addresses of `host:port;host:port`, without duplicates. Raises InvalidMessage (a ValueError)."""
    addresses = dict.fromkeys(part.strip() for part in text.replace(",", ";").split(";") if part.strip())
    if not addresses:
        raise InvalidMessage("no name server address is given: expected host:port, or host:port;host:port")
    for address in addresses:
        try:
            split_address(address)
        except ConnectFailed as error:
            raise InvalidMessage(f"name server address {error}") from None
    return tuple(addresses)


def _read(answer: Command, read: Callable[[Command], T], address: str, request: Command) -> T:
    if answer.code != ResponseCode.SUCCESS:
        raise _refusal(answer, address, request)
    return read(answer)


def _refusal(answer: Command, address: str, request: Command) -> BrokerError:
    return BrokerError(answer.code, answer.remark or "no remark", address, code_name(request.code))

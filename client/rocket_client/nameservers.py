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
from typing import TypeVar

from rocket_client.errors import BrokerError, InvalidMessage, NoNameServer
from rocket_net.client import Client, split_address
from rocket_net.connection import code_name
from rocket_net.errors import ConnectFailed, TransportError
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError

log = logging.getLogger("rocket.client")

T = TypeVar("T")

_ABSENT = frozenset({ResponseCode.TOPIC_NOT_EXIST, ResponseCode.QUERY_NOT_FOUND})


class NameServers:
    """The name servers of one client."""

    def __init__(self, addresses: str, net: Client) -> None:
        self.addresses = parse_addresses(addresses)
        self._net = net
        self._current = random.randrange(len(self.addresses))

    async def ask(self, request: Command, read: Callable[[Command], T], timeout: float) -> T | None:
        """What `read` makes of the first usable answer; None where what was asked for does not exist.

        `timeout` (seconds) is for all tries together. Raises NoNameServer, or BrokerError where a name server
        understood the request and refused it.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        failures: list[str] = []
        absent = False
        for tried in range(len(self.addresses)):
            address = self.addresses[self._current]
            left = deadline - asyncio.get_running_loop().time()
            try:
                answer = await self._net.call(address, request, max(0.05, left / (len(self.addresses) - tried)))
                if answer.code == ResponseCode.SUCCESS:
                    return read(answer)
                if answer.code not in _ABSENT:
                    raise _refusal(answer, address, request)
                absent = True
            except (TransportError, ProtocolError, RequestError) as error:
                text = str(error)
                failures.append(text if address in text else f"{address}: {text}")
                log.info("name server %s is left for the next one: %s", address, error)
            self._current = (self._current + 1) % len(self.addresses)
        if absent:
            return None
        raise NoNameServer(
            f"no name server answered {code_name(request.code)}: {'; '.join(failures)}. "
            "Check the address list (host:port;host:port) and that a name server runs there"
        )

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


def _refusal(answer: Command, address: str, request: Command) -> BrokerError:
    return BrokerError(answer.code, answer.remark or "no remark", address, code_name(request.code))

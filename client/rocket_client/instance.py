"""What every producer, consumer and admin stands on: one identity, its connections, name servers and routes.

Each has an instance of its own, so that none waits for another and stopping one leaves no trace in the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from rocket_client.addresses import new_client_id, new_unique_keys
from rocket_client.background import Background
from rocket_client.errors import BrokerError, ClientClosed, NoAnswer
from rocket_client.nameservers import NameServers, parse_addresses
from rocket_client.routes import Route, RouteTable
from rocket_net.client import Client
from rocket_net.dispatch import Table, code_name
from rocket_net.errors import ConnectFailed, TransportError
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError

#: How often routes are asked again, seconds.
ROUTE_PERIOD: Final = 30.0
#: How long making a connection may take, seconds.
CONNECT_TIMEOUT: Final = 3.0


T = TypeVar("T")


class Instance:
    """One client as name servers and brokers see it. Start it inside the event loop that will use it.

    Without name servers (None) it can still ask whoever it has the address of.
    """

    def __init__(self, namesrv: str | None, table: Table | None = None) -> None:
        self.client_id = ""
        self.background = Background()
        self.on_route_change: list[Callable[[Route], None]] = []
        self.on_connection_lost: list[Callable[[str], None]] = []
        self._namesrv_text = namesrv
        self._table = table
        self._net: Client | None = None
        self._namesrv: NameServers | None = None
        self._routes: RouteTable | None = None
        self._unique_keys = new_unique_keys()
        if namesrv is not None:
            parse_addresses(namesrv)

    async def start(self) -> None:
        """Makes it usable. Nothing is sent yet. It gets its names now, for a process may fork before that."""
        self.client_id = new_client_id()
        self._unique_keys = new_unique_keys()
        self._net = Client(self._table, on_close=self._connection_lost)
        if self._namesrv_text is None:
            return
        self._namesrv = NameServers(self._namesrv_text, self._net)
        self._routes = RouteTable(self._namesrv, self._route_changed)
        self.background.every(ROUTE_PERIOD, self._routes.refresh_all, "route refresh")

    async def close(self) -> None:
        """Ends its tasks and connections."""
        net, self._net = self._net, None
        await self.background.close()
        if self._routes is not None:
            self._routes.close()
        if net is not None:
            await net.close()

    @property
    def is_open(self) -> bool:
        return self._net is not None

    @property
    def net(self) -> Client:
        if self._net is None:
            raise ClientClosed("not running: use it inside `async with`, or between start() and stop()")
        return self._net

    @property
    def namesrv(self) -> NameServers:
        if self._net is None or self._namesrv is None:
            raise ClientClosed("not running: use it inside `async with`, or between start() and stop()")
        return self._namesrv

    @property
    def routes(self) -> RouteTable:
        if self._net is None or self._routes is None:
            raise ClientClosed("not running: use it inside `async with`, or between start() and stop()")
        return self._routes

    def next_message_id(self) -> str:
        """The unique key of a new message."""
        return self._unique_keys.next(milliseconds())

    async def answer(self, address: str, request: Command, timeout: float = 3.0) -> Command:
        """The answer of the broker at `address`, whatever its code. Raises NoAnswer. Seconds."""
        try:
            await self.net.connection(address, min(timeout, CONNECT_TIMEOUT))
            answer = await self.net.call(address, request, timeout)
        except TransportError as error:
            maybe_done = not isinstance(error, ConnectFailed)
            raise NoAnswer(f"no answer to {code_name(request.code)}: {error}", maybe_done) from error
        if answer.code == ResponseCode.GO_AWAY:
            raise NoAnswer(f"{address} is stopping and took no {code_name(request.code)}", maybe_done=False)
        return answer

    async def connect(self, address: str, timeout: float = CONNECT_TIMEOUT) -> None:
        """Makes sure that there is a connection. Raises NoAnswer. Seconds."""
        try:
            await self.net.connection(address, timeout)
        except TransportError as error:
            raise NoAnswer(f"no connection: {error}", maybe_done=False) from error

    async def ask(self, address: str, request: Command, timeout: float = 3.0) -> Command:
        """The successful answer of the broker at `address`. Raises BrokerError or NoAnswer. Seconds."""
        answer = await self.answer(address, request, timeout)
        if answer.code != ResponseCode.SUCCESS:
            raise refusal(answer, address, request)
        return answer

    async def ask_for(self, address: str, request: Command, read: Callable[[Command], T], timeout: float = 3.0) -> T:
        """What `read` makes of the successful answer. Raises BrokerError, and NoAnswer where it makes nothing of it."""
        answer = await self.ask(address, request, timeout)
        try:
            return read(answer)
        except (RequestError, ProtocolError) as error:
            text = f"{address} answered {code_name(request.code)} with what cannot be read: {error}"
            raise NoAnswer(text, maybe_done=True) from error

    async def tell(self, address: str, request: Command, timeout: float = 3.0) -> None:
        """Sends a one-way request. Raises NoAnswer where there is no connection."""
        try:
            await self.net.tell(address, request, timeout)
        except TransportError as error:
            raise NoAnswer(f"{code_name(request.code)} was not sent: {error}", maybe_done=False) from error

    def _route_changed(self, route: Route) -> None:
        for listener in self.on_route_change:
            listener(route)

    def _connection_lost(self, address: str) -> None:
        for listener in self.on_connection_lost:
            listener(address)


def refusal(answer: Command, address: str, request: Command) -> BrokerError:
    """The error that an answer other than SUCCESS stands for."""
    return BrokerError(answer.code, answer.remark or "no remark", address, code_name(request.code))


def milliseconds() -> int:
    """The wall clock, as the protocol writes times."""
    return int(time.time() * 1000)

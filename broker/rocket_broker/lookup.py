"""Which name servers there are: those that the settings list, or all that stand behind the names listed.

With `fetchNameSrvAddrByDnsLookup` each host is looked up again and again, so that name servers come and go without a
word to any broker. A name that cannot be resolved just now changes nothing: whoever was there is still tried.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Final

from rocket_broker.settings import BrokerSettings

log = logging.getLogger("rocket.registration")

_PERIOD_SECONDS: Final = 5.0
#: While nobody is known, more often: this broker serves nobody before.
_FIRST_PERIOD_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 5.0


class Lookup:
    """Tells which name servers there are, and tells again whenever that changes."""

    def __init__(self, on_change: Callable[[tuple[str, ...]], None]) -> None:
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._found: dict[str, tuple[str, ...]] = {}
        self._failing: set[str] = set()

    @property
    def unresolved(self) -> list[str]:
        """Names that have not led anywhere yet."""
        return sorted(name for name in self._failing if not self._found.get(name))

    def start(self, settings: BrokerSettings) -> None:
        """Begins, or goes on with other settings."""
        self.stop()
        if settings.fetch_name_srv_addr_by_dns_lookup:
            names = settings.name_servers
            self._found = {name: self._found.get(name, ()) for name in names}
            self._failing &= set(names)
            self._task = asyncio.create_task(self._run(names), name="look-up of name servers")
        else:
            self._on_change(settings.name_servers)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, names: Iterable[str]) -> None:
        told: tuple[str, ...] | None = None
        while True:
            await asyncio.gather(*(self._look_up(name) for name in names))
            found = tuple(dict.fromkeys(address for name in names for address in self._found[name]))
            if found and found != told:
                self._on_change(found)
                told = found
            await asyncio.sleep(_PERIOD_SECONDS if found else _FIRST_PERIOD_SECONDS)

    async def _look_up(self, name: str) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                self._found[name] = await resolve(name)
        except (OSError, ValueError, UnicodeError) as error:  # a time-out is an OSError
            if name not in self._failing:
                reason = "no answer" if isinstance(error, TimeoutError) else error
                log.warning("namesrvAddr %s cannot be resolved: %s; trying on: is that name right?", name, reason)
            self._failing.add(name)
            return
        if name in self._failing:
            log.info("namesrvAddr %s is resolved: %s", name, "; ".join(self._found[name]))
        self._failing.discard(name)


async def resolve(name: str) -> tuple[str, ...]:
    """All addresses behind `host:port`, sorted. Raises OSError; ValueError where there is no port."""
    host, _, port = name.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("it is not host:port")
    found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return tuple(sorted({_text(str(place[0]), int(port)) for *_, place in found}))


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

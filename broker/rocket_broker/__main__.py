"""mqbroker: the command line of a broker, with RocketMQ's own options and banner (protocol section 7.3)."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry

from rocket_broker.config import LiveConfig, Source, read
from rocket_broker.opening import Opening
from rocket_broker.saved import DamagedFile
from rocket_broker.server import BrokerServer
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore
from rocket_net import logs
from rocket_net.http import HealthServer
from rocket_net.properties_file import SettingsError

log = logging.getLogger("rocket.broker")

#: What `-m` prints.
IMPORTANT: Final = (
    "brokerClusterName", "brokerName", "brokerId", "brokerRole", "namesrvAddr", "listenPort", "haListenPort",
    "brokerIP1", "storePathRootDir", "flushDiskType",
)  # fmt: skip


def main() -> None:
    """Runs a broker until SIGTERM or SIGINT. Exit code 1: it could not start; the last line says why."""
    options = _options(sys.argv[1:])
    logs.configure(options.log_format, options.log_level)
    try:
        config = read(Source(options.config_file, tuple(options.given), options.keep_file), options.namesrv)
        if options.print_all or options.print_important:
            _print(config, only=IMPORTANT if options.print_important else None)
            return
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config))
    except (SettingsError, StoreError, DamagedFile, OSError) as error:
        sys.exit(f"The broker cannot start: {logs.reason(error)}")


async def _serve(config: LiveConfig) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    opening = Opening(config)
    health = HealthServer(CollectorRegistry(), opening.ready)
    http_port = await health.start(
        config.settings.metrics_prom_exporter_host,
        config.settings.metrics_prom_exporter_port,
        or_free_port=not config.is_given("metricsPromExporterPort"),
    )
    try:
        store = await _opened(opening, stopping)
        await _run(BrokerServer(config, store), health, http_port, stopping)
    finally:
        await health.stop()
    print("The broker stopped", flush=True)


async def _opened(opening: Opening, stopping: asyncio.Event) -> MessageStore:
    """The open store. A process that is told to stop meanwhile ends at once: the next start reads what this one did."""
    opened = asyncio.ensure_future(asyncio.to_thread(opening.open))
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not opened.done():
        log.info("stopping in the middle of it (%s): the next start begins anew", opening.ready()[1])
        logging.shutdown()
        os._exit(0)
    return opened.result()


async def _run(server: BrokerServer, health: HealthServer, http_port: int, stopping: asyncio.Event) -> None:
    """Serves until it is told to stop."""
    settings = server.config.settings
    try:
        health.show(server.metrics, server.ready)
        await server.start()
        known = f" and name server is {settings.namesrv_addr}" if settings.namesrv_addr else ""
        print(
            f"The broker[{settings.broker_name}, {settings.address}] boot success. serializeType=JSON{known}",
            flush=True,
        )
        host = settings.metrics_prom_exporter_host or "0.0.0.0"
        print(f"Metrics and health on http://{host}:{http_port}/metrics /healthz /readyz", flush=True)
        await stopping.wait()
        log.info("stopping")
    finally:
        await server.stop()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mqbroker", description="A RocketMQ broker.")
    parser.add_argument("-c", "--configFile", dest="config_file", type=Path, help="broker properties file")
    parser.add_argument(
        "-n", "--namesrvAddr", dest="namesrv", help="name servers, such as '10.0.0.1:9876;10.0.0.2:9876'"
    )
    parser.add_argument(
        "-p", "--printConfigItem", dest="print_all", action="store_true", help="print all settings and exit"
    )
    parser.add_argument(
        "-m",
        "--printImportantConfig",
        dest="print_important",
        action="store_true",
        help="print the important ones and exit",
    )
    parser.add_argument(
        "--set",
        dest="given",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a setting that wins over the file; may be repeated",
    )
    parser.add_argument(
        "--keep-file",
        action="store_true",
        help="a setting changed by a request holds until the next start and is not written into the file",
    )
    logs.add_options(parser)
    return parser.parse_args(arguments)


def _print(config: LiveConfig, only: tuple[str, ...] | None) -> None:
    for key, value in config.pairs().items():
        if only is None or key in only:
            print(f"{key}={value}")


if __name__ == "__main__":
    main()

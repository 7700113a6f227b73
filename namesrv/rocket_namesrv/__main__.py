"""`mqnamesrv`: the command line, the settings file, and the process around one name server (protocol section 7.3)."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from rocket_namesrv.kv_config import KvConfigError
from rocket_namesrv.server import NameServer
from rocket_namesrv.settings import NamesrvSettings
from rocket_net import logs, properties_file
from rocket_net.properties_file import Configuration, Entry, SettingsError
from rocket_wire.frame import SerializeType

log = logging.getLogger("rocket.namesrv")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until SIGTERM or SIGINT. Exits with 1 and one line on stderr when it cannot start."""
    options = _parser().parse_args(arguments)
    logs.configure(options.log_format, options.log_level)
    try:
        configuration = _load(options.config_file)
        if options.print_config_item:
            print(properties_file.text(properties_file.pairs(configuration)), end="")
            return
        if options.namesrv_addr is not None:
            log.warning("-n has no effect here: name servers do not know each other")
        uvloop.run(_run(configuration, _serialize_type()))
    except (SettingsError, KvConfigError, OSError) as error:
        sys.exit(f"mqnamesrv cannot start: {logs.reason(error)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mqnamesrv", description="Tells clients which broker has which topic.")
    parser.add_argument("-c", "--configFile", dest="config_file", help="Name server config properties file")
    parser.add_argument(
        "-n", "--namesrvAddr", dest="namesrv_addr", help="Accepted as in every RocketMQ program; has no effect here"
    )
    parser.add_argument(
        "-p", "--printConfigItem", dest="print_config_item", action="store_true", help="Print all config items"
    )
    logs.add_options(parser)
    return parser


def _load(file: str | None) -> Configuration[NamesrvSettings]:
    if file is None:
        return properties_file.load(NamesrvSettings, [])
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise SettingsError([properties_file.Problem(file, 0, "", None, str(error.strerror))]) from None
    # As in Apache's, changes of the configuration go to the file that it came from.
    entries = [*properties_file.parse(content, file), Entry("configStorePath", os.path.abspath(file))]
    configuration = properties_file.load(NamesrvSettings, entries, file)
    print(f"load config properties file OK, {file}", flush=True)
    for warning in configuration.warnings:
        log.warning("%s", warning)
    return configuration


def _serialize_type() -> SerializeType:
    name = os.environ.get("ROCKETMQ_SERIALIZE_TYPE", SerializeType.JSON.name)
    try:
        return SerializeType[name]
    except KeyError:
        problem = properties_file.Problem(
            "environment", 0, "ROCKETMQ_SERIALIZE_TYPE", name, "expected JSON or ROCKETMQ"
        )
        raise SettingsError([problem]) from None


async def _run(configuration: Configuration[NamesrvSettings], serialize: SerializeType) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = NameServer(configuration, serialize=serialize)
    await server.start()
    settings = configuration.settings
    address = f"{settings.bind_address}:{server.port}"
    print(f"The Name Server boot success. serializeType={serialize.name}, address {address}", flush=True)
    host = settings.metrics_prom_exporter_host or "0.0.0.0"
    print(f"Metrics and health on http://{host}:{server.http_port}/metrics /healthz /readyz", flush=True)
    await stopped.wait()
    log.info("stopping")
    await server.stop()


if __name__ == "__main__":
    main()

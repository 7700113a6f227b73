"""rocket-operator: looks after RocketClusters in Kubernetes until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from importlib.metadata import version
from typing import Annotated

import typer
import uvloop

from rocket_net import logs
from rocket_operator import handlers
from rocket_operator.cluster.api import Api
from rocket_operator.cluster.brokers import WireBrokers
from rocket_operator.objects.metadata import Images
from rocket_operator.runner import Operator, Settings

log = logging.getLogger("rocket.operator")

Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", help="A namespace to watch; may be repeated. [default: all]")
]
BrokerImage = Annotated[
    str, typer.Option(envvar="ROCKET_BROKER_IMAGE", help="The brokers' image; {version} is the cluster's version.")
]
NamesrvImage = Annotated[str, typer.Option(envvar="ROCKET_NAMESRV_IMAGE", help="The name servers' image, likewise.")]
LeaseNamespace = Annotated[
    str, typer.Option(envvar="POD_NAMESPACE", help="Where the Lease is by which operators agree who acts.")
]
Instance = Annotated[str, typer.Option(envvar="POD_NAME", help="This operator's name. [default: the host's]")]


def run(
    namespace: Namespaces = None,
    broker_image: BrokerImage = "rocket-broker:{version}",
    namesrv_image: NamesrvImage = "rocket-namesrv:{version}",
    leader_election: Annotated[bool, typer.Option(help="Act only while holding the Lease.")] = True,
    lease_namespace: LeaseNamespace = "default",
    instance: Instance = "",
    resync_seconds: Annotated[float, typer.Option(min=1, help="Look at each cluster so often, come what may.")] = 30.0,
    http_port: Annotated[int, typer.Option(help="Port of /metrics, /healthz, /readyz.")] = 8080,
    log_format: Annotated[str, typer.Option(help="json or text")] = "json",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "info",
) -> None:
    """Look after RocketClusters in Kubernetes."""
    if log_format not in logs.FORMATS or log_level not in logs.LEVELS:
        raise typer.BadParameter(f"--log-format is one of {logs.FORMATS}, --log-level one of {logs.LEVELS}")
    logs.configure(log_format, log_level)
    handlers.tame_logs()
    settings = Settings(
        images=Images(broker_image, namesrv_image, version("rocketcluster")),
        namespaces=tuple(namespace or ()),
        instance=instance or socket.gethostname(),
        lease_namespace=lease_namespace if leader_election else "",
        resync=resync_seconds,
        http_port=http_port,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except OSError as error:
        sys.exit(f"rocket-operator cannot start: {error}")


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watched = ", ".join(settings.namespaces) or "all namespaces"
    log.info("rocket-operator %s starts, for %s", settings.images.version, watched)
    async with Api(await Api.configuration()) as api, WireBrokers() as brokers:
        await Operator(settings, api, brokers).run(stop)
    log.info("rocket-operator stopped")


def main() -> None:
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(run)
    app()


if __name__ == "__main__":
    main()

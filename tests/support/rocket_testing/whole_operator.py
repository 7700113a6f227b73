"""The operator as it runs, in this process, against an API server in this process.

async with running(kubernetes, settings) as operator:
    await get(operator, "/metrics")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from rocket_operator.cluster.api import Api
from rocket_operator.cluster.leader import Timing
from rocket_operator.runner import Operator, Settings
from rocket_testing.fake_brokers import FakeBrokers
from rocket_testing.kubernetes import Kubernetes
from rocket_testing.operator_bench import IMAGES

QUICK = Timing(duration=1.0, renew=0.7, retry=0.05)
SETTINGS = Settings(IMAGES, namespaces=("default",), resync=1000, http_host="127.0.0.1", http_port=0, timing=QUICK)


def write_kubeconfig(kubernetes: Kubernetes, file: Path) -> None:
    """For kopf, which finds the API server by KUBECONFIG."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": kubernetes.url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(config))


@asynccontextmanager
async def running(
    kubernetes: Kubernetes, settings: Settings = SETTINGS, brokers: FakeBrokers | None = None
) -> AsyncIterator[Operator]:
    stop = asyncio.Event()
    async with Api(kubernetes.configuration) as api:
        operator = Operator(settings, api, brokers or FakeBrokers(kubernetes.store, kubernetes.faults))
        task = asyncio.create_task(operator.run(stop))
        try:
            yield operator
        finally:
            stop.set()
            await task


async def get(operator: Operator, path: str) -> tuple[int, str]:
    """Status and text of what the operator answers over HTTP."""
    timeout = aiohttp.ClientTimeout(total=10)
    url = f"http://127.0.0.1:{operator.http_port}{path}"
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        return response.status, await response.text()

"""`python -m rocket_operator.apply`: makes the RocketCluster that a ConfigMap holds, as the chart's own cluster.

Helm cannot make an object whose kind comes with the same release; a job of the release does it with this. The cluster
belongs to the ConfigMap, so that it goes when the release goes, or no longer has one.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from rocket_operator import manifest
from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.objects.metadata import Manifest

_KEY = "cluster.yaml"
_MANAGER = "rocketcluster-chart"
_SECONDS = 120.0
_PAUSE_SECONDS = 1.0


def main(
    config_map: Annotated[str, typer.Option(help=f"The ConfigMap with {_KEY}.")],
    namespace: Annotated[str, typer.Option(envvar="POD_NAMESPACE", help="Its namespace, and the cluster's.")],
) -> None:
    """Make the RocketCluster that a ConfigMap holds."""
    try:
        asyncio.run(_apply(config_map, namespace))
    except (ApiError, TimeoutError, LookupError) as error:
        sys.exit(f"the cluster is not made: {error}")


async def _apply(config_map: str, namespace: str) -> None:
    async with Api(await Api.configuration()) as api:
        found = await api.get("ConfigMap", namespace, config_map)
        if found is None:
            raise LookupError(f"there is no ConfigMap {config_map} in namespace {namespace}")
        wanted = _owned(manifest.read(found["data"][_KEY]), found)
        async with asyncio.timeout(_SECONDS):
            await _until_the_kind_exists(api, namespace)
            await api.apply(wanted, manager=_MANAGER)
    print(f"RocketCluster {namespace}/{wanted['metadata']['name']} is as the release says")


async def _until_the_kind_exists(api: Api, namespace: str) -> None:
    """The API server takes a moment to serve a kind that is new."""
    while True:
        try:
            await api.list("RocketCluster", namespace)
        except ApiError as error:
            if not error.is_missing:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return


def _owned(cluster: Manifest, config_map: Manifest) -> Manifest:
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": config_map["metadata"]["name"],
        "uid": config_map["metadata"]["uid"],
    }
    metadata = {**cluster["metadata"], "namespace": config_map["metadata"]["namespace"], "ownerReferences": [owner]}
    return {**cluster, "metadata": metadata}


if __name__ == "__main__":
    typer.run(main)

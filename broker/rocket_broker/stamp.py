"""What this broker adds to every message and to every answer to a send: worked out once, not per message."""

from __future__ import annotations

from rocket_broker.settings import BrokerSettings
from rocket_wire.answers import SendAnswers


class Stamp:
    """Made anew when a setting in it changes."""

    def __init__(self, settings: BrokerSettings, store_host: bytes) -> None:
        self.answers = SendAnswers(store_host, settings.region_id, trace_on=settings.trace_on)
        #: Properties of section 3.8: where the message was stored, and whether it is traced.
        self.pairs = {
            "MSG_REGION": settings.region_id,
            "TRACE_ON": "true" if settings.trace_on else "false",
            "CLUSTER": settings.broker_cluster_name,
        }
        self.properties = "".join([f"{key}\x01{value}\x02" for key, value in self.pairs.items()])

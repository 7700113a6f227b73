"""How replication stands (protocol sections 3.4, 5.1; appendix B: HARuntimeInfo)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, written
from rocket_wire.headers.numbers import Int, Long


class HAConnectionRuntimeInfo(Body, frozen=True):
    """One slave as its master sees it: what it has (`slave_ack_offset`) and lacks (`diff`), in bytes of the log."""

    addr: str
    slave_ack_offset: Long = written(0)
    diff: Long = written(0)
    in_sync: bool = written(False)
    transferred_byte_in_second: Long = written(0)
    transfer_from_where: Long = written(0)


class HAClientRuntimeInfo(Body, frozen=True):
    """A slave as it sees itself. `max_offset` is the end of its log; times are milliseconds."""

    master_addr: str | None = None
    transferred_byte_in_second: Long = written(0)
    max_offset: Long = written(0)
    last_read_timestamp: Long = written(0)
    last_write_timestamp: Long = written(0)
    master_flush_offset: Long = written(0)
    is_activated: bool = written(False, name="isActivated")


class HARuntimeInfo(Body, frozen=True):
    """GET_BROKER_HA_STATUS' answer: a master's slaves, or a slave's own end of the stream."""

    master: bool = written(False)
    master_commit_log_max_offset: Long = written(0)
    in_sync_slave_nums: Int = written(0)
    ha_connection_info: tuple[HAConnectionRuntimeInfo, ...] = written(())
    ha_client_runtime_info: HAClientRuntimeInfo | None = written(HAClientRuntimeInfo())

"""Every bound that the network layer keeps, in one place."""

from __future__ import annotations

import msgspec

from rocket_wire.frame import MAX_FRAME_BYTES


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what peers may cost us. All per process unless said otherwise."""

    max_frame_bytes: int = MAX_FRAME_BYTES
    max_connections: int = 10_000
    #: Requests of one connection that wait for their answer (long polls included); more are answered SYSTEM_BUSY.
    max_in_flight: int = 16_384
    #: A connection silent in both directions for so long is closed (protocol section 2.4).
    idle_seconds: float = 120.0
    #: Bytes that may wait for a slow reader before we stop reading from it; fewer where many are connected.
    write_buffer_bytes: int = 4 * 1024 * 1024
    #: The same for all readers of a server together, as long as each has room for an answer or two.
    write_buffers_bytes: int = 512 * 1024 * 1024
    least_write_buffer_bytes: int = 256 * 1024
    #: Bytes that may wait for a slow reader in all, late answers to long polls included; beyond, the connection is cut.
    max_unread_bytes: int = 64 * 1024 * 1024
    #: How long a graceful shutdown waits for answers that are under way.
    shutdown_seconds: float = 5.0

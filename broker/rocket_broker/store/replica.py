"""A slave's log: raw bytes of its master's, in pieces that begin and end anywhere. Records are read off it as soon as
they are whole; the beginning of one whose rest never comes is cut off at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.dispatch import NOT_QUEUED, Dispatcher
from rocket_broker.store.errors import StoreError, refused
from rocket_broker.store.values import Arrival
from rocket_wire import record
from rocket_wire.errors import ProtocolError


class Replica:
    """Appends to a log what comes from another one, and dispatches it."""

    def __init__(self, log: CommitLog, dispatcher: Dispatcher) -> None:
        self.last_timestamp = 0
        self._log = log
        self._dispatcher = dispatcher
        self._received = bytearray()
        self._arrivals: list[Arrival] = []

    def append(self, position: int, content: bytes) -> None:
        """See MessageStore.append_replica."""
        before = self._log.end
        if position != before:
            raise StoreError(f"position {position} does not continue the log, which ends at {before}")
        try:
            self._log.append_copy(content)
        finally:  # what had room counts: the next report tells the master of it
            self._received += content[: self._log.end - before]
            self._dispatch()

    def _dispatch(self) -> None:
        """Makes readable what was received as a whole. Raises as `append`."""
        try:
            for message in self._take_records():
                put = self._dispatcher.dispatch_read(message)
                self.last_timestamp = max(self.last_timestamp, put.store_timestamp)
                if not message.sys_flag & NOT_QUEUED:
                    topic, queue_id, last = message.topic, message.queue_id, put.queue_offset + put.count - 1
                    self._arrivals.append(Arrival(topic, queue_id, last, put.tags_code, put.end))
        except ProtocolError as error:
            self._cut()
            raise StoreError(f"the master's bytes at position {self._log.end} are no record: {error}") from error
        except OSError as error:
            raise refused(f"the record at position {self._dispatcher.position} waits for its queue", error) from error

    def _take_records(self) -> Iterator[record.Message]:
        """Takes whole records, and blanks, off the front of what was received."""
        log, dispatcher = self._log, self._dispatcher
        while True:
            limit = log.base_of(dispatcher.position) + log.segment_size - dispatcher.position
            size = record.next_size(self._received, limit)
            if size is None or size > len(self._received):
                return
            content = bytes(self._received[:size])
            if not record.is_blank(content):
                message = record.decode(content)
                if message.position != dispatcher.position:
                    raise ProtocolError(f"the record says it belongs to position {message.position}")
                yield message
            del self._received[:size]
            dispatcher.reached(dispatcher.position + size)

    def drop_partial(self) -> None:
        """Cuts off the beginning of a record whose rest has not come. Raises OSError, and StoreError as `append`."""
        self._dispatch()
        self._cut()

    def _cut(self) -> None:
        if self._dispatcher.position < self._log.end:
            self._log.cut(self._dispatcher.position)
        self._received.clear()

    def cut(self, position: int) -> None:
        """Cuts the log at `position`, where a record begins. Raises OSError."""
        self._log.cut(position)
        self._received.clear()
        self._dispatcher.reached(position)

    def take_arrivals(self) -> list[Arrival]:
        """What became readable since the last call."""
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

"""What can go wrong with a request, by consequence: close the connection, or answer with a code."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer's bytes cannot be a RocketMQ conversation. The connection is closed; nothing is answered."""


class RequestError(Exception):
    """One request is wrong or cannot be served. It is answered with `code` and `remark`; the connection lives on."""

    def __init__(self, code: int, remark: str) -> None:
        super().__init__(code, remark)
        self.code = code
        self.remark = remark

    def __str__(self) -> str:
        return f"{self.remark} (code {self.code})"


class ServerError(Exception):
    """The server cannot do it now, as when its disk fails. It is answered in these words, and one line is logged."""

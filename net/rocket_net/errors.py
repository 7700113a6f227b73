"""What can go wrong between us and a peer, as the requester sees it."""

from __future__ import annotations


class TransportError(Exception):
    """A request has no answer: it may or may not have been carried out. The text names the peer."""


class ConnectFailed(TransportError):
    """No connection could be made: the request was certainly not carried out."""


class ConnectionLost(TransportError):
    """The connection closed before the answer came."""


class RequestTimeout(TransportError):
    """No answer in time."""

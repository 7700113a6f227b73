"""What the API server refuses, as Status objects say it."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that is not granted."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    def status(self) -> dict[str, Any]:
        return {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code, "reason": self.reason,
            "message": self.message,
        }  # fmt: skip


def not_found(kind: str, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind} "{name}" not found')


def conflict(kind: str, name: str, why: str) -> Refusal:
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {why}')


def invalid(kind: str, name: str, why: str) -> Refusal:
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {why}')

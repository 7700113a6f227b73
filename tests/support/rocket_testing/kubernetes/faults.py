"""What goes wrong between the operator and the API server, as a test declares it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Faults:
    """`answers`: status codes that the next writes get instead of being done. `last_write`: no write after the n-th is
    done, as if the operator had been killed right after it; every request then fails."""

    answers: list[int] = field(default_factory=list)
    last_write: int | None = None
    is_deaf: bool = False
    """No watch hears anything any more, and none is told so."""
    writes: list[str] = field(default_factory=list)
    """Every write so far, such as "PATCH StatefulSet orders-broker-0"."""

    @property
    def is_cut(self) -> bool:
        return self.last_write is not None and len(self.writes) >= self.last_write

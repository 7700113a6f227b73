"""Kubernetes quantities: "500m", "1Gi", 2, as numbers that can be compared.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
#: To what an API server rounds up in requests and limits (SetDefaults_ResourceList of its core/v1).
_LEAST: Final = Decimal("1e-3")
#: For every number that `parse` gives.
_EXACT: Final = Context(prec=5000)
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def parse(quantity: str | int) -> Decimal:
    """The number that a quantity stands for. Raises ValueError for what is none."""
    found = _PATTERN.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity such as 500m, 2 or 10Gi")
    number, unit = Decimal(found[1]), found[2]
    if unit is None:
        return number
    if unit in _BINARY:
        return number * Decimal(1024) ** (1 + _BINARY.index(unit))
    if unit in _DECIMAL:
        return number.scaleb(_DECIMAL[unit])
    return number.scaleb(int(unit[1:]))


def is_equal(one: object, other: object) -> bool:
    """Whether an API server takes both for the same: it writes 1024Mi as 1Gi, and rounds up to thousandths."""
    if not isinstance(one, str | int) or not isinstance(other, str | int):
        return False
    try:
        return _rounded(parse(one)) == _rounded(parse(other))
    except (ValueError, ArithmeticError):  # of thousands of digits
        return False


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(_LEAST, ROUND_CEILING, _EXACT)

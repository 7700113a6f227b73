"""The rules of failover, walked through in every order of events; without any one of them something breaks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

LIMIT = 3_000_000


def _load() -> ModuleType:
    """The model is a program of its own, beside this file."""
    spec = importlib.util.spec_from_file_location("lease_model", Path(__file__).with_name("lease_model.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


model = _load()


def walk(without: str = "", entries: int = 1, epochs: int = 3, count: int = 2) -> list[str] | None:
    rules = frozenset(model.RULES) - {without}
    path: list[str] | None = model.check(model.Model(rules, entries, epochs), count, LIMIT)[1]
    return path


def test_two_members_lose_nothing_and_never_both_lead() -> None:
    assert walk() is None


@pytest.mark.slow
def test_two_members_with_two_messages_lose_nothing_and_never_both_lead() -> None:
    assert walk(entries=2) is None


@pytest.mark.parametrize("rule", model.RULES)
def test_without_this_rule_an_order_of_events_breaks_a_promise(rule: str) -> None:
    assert walk(without=rule, entries=2) is not None

"""A command that cannot do its work says why in a sentence on stderr, with exit status 1."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rocket_cli.__main__ import app

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "command", [["status"], ["topic", "list"], ["topic", "stats", "T"], ["topic", "create", "T"], ["send", "T", "x"]]
)
def test_without_a_name_server_the_refusal_is_a_sentence(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "-n", NOBODY])
    assert result.exit_code == 1
    assert result.stderr.startswith("rocketctl: ")
    assert NOBODY in result.stderr
    assert "Traceback" not in result.output


def test_name_servers_come_from_the_environment() -> None:
    assert NOBODY in CliRunner().invoke(app, ["status"], env={"NAMESRV_ADDR": NOBODY}).stderr


def test_an_illegal_topic_is_refused_before_anything_is_sent() -> None:
    result = CliRunner().invoke(app, ["send", "no topic", "x", "-n", NOBODY])
    assert result.exit_code == 1
    assert "no topic" in result.stderr


def test_a_missing_manifest_is_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["up", str(tmp_path / "absent.yaml")])
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path / 'absent.yaml'}: cannot read it: No such file or directory\n"


def test_deleting_a_topic_asks_first() -> None:
    result = CliRunner().invoke(app, ["topic", "delete", "T", "-n", NOBODY], input="n\n")
    assert result.exit_code == 1
    assert "Delete T and all its messages?" in result.output


def test_the_version_is_the_distributions() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"rocketctl {metadata.version('rocketcluster')}\n"

"""`rocketctl up` with real processes: start, restart, scale, stop, and what a killed rocketctl leaves behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.rocketctl import DEADLINE_SECONDS, Rocketctl, runs, stand_ins, wait_for

NAMESRV, MASTER, SLAVE = "orders-namesrv-0", "orders-broker-0-0", "orders-broker-0-1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Rocketctl]:
    found = Rocketctl(tmp_path, stand_ins(tmp_path / "programs"))
    yield found
    found.end()


def wait_for_journal(cluster: Rocketctl, *doings: str) -> None:
    """Waits until the journal ends with these doings, in this order."""
    wanted = list(doings)
    wait_for(
        lambda: cluster.journal()[-len(wanted) :] == wanted, lambda: f"{wanted} in\n{cluster.journal()}\n{cluster.out}"
    )


def test_it_starts_in_order_says_how_to_connect_and_stops_in_order(cluster: Rocketctl) -> None:
    cluster.write()
    cluster.up()
    assert f"export NAMESRV_ADDR='localhost:{cluster.first_port}'" in cluster.out
    assert f"{MASTER} is ready: master, ports {cluster.broker_port}, VIP {cluster.broker_port - 2}" in cluster.out
    assert cluster.stop() == 0
    assert cluster.journal() == [
        f"start {NAMESRV}", f"start {MASTER}", f"start {SLAVE}", f"stop {SLAVE}", f"stop {MASTER}", f"stop {NAMESRV}",
    ]  # fmt: skip
    assert cluster.err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_are_as_orderly_as_ctrl_c(cluster: Rocketctl, number: signal.Signals) -> None:
    cluster.write(slaves=0)
    cluster.up()
    assert cluster.stop(number) == 0
    assert cluster.journal()[-2:] == [f"stop {MASTER}", f"stop {NAMESRV}"]


def test_a_killed_member_is_restarted(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    cluster.up()
    before = cluster.pid(MASTER)
    os.kill(before, signal.SIGKILL)
    wait_for_journal(cluster, f"start {MASTER}")
    cluster.said(f"restarting {MASTER} in 0.5 s: it was killed by SIGKILL")
    assert cluster.pid(MASTER) != before


def test_what_fails_at_once_is_tried_ever_later_and_its_last_words_are_shown(cluster: Rocketctl) -> None:
    cluster.write(slaves=0, regionId="exits-with-3")
    cluster.start()
    cluster.said(f"{MASTER} exited with 3; its log ends: the stand-in was told to fail")
    cluster.said(f"restarting {MASTER} in 1.0 s: it exited with 3, 2 times in a row")
    assert cluster.out.count(f"{MASTER} exited with 3") == 1
    cluster.write(slaves=0)
    wait_for_journal(cluster, f"start {MASTER}")
    assert cluster.stop() == 0


def test_editing_the_counts_scales_the_cluster_up_and_down(cluster: Rocketctl) -> None:
    cluster.write(groups=1, slaves=0)
    cluster.up()
    before = cluster.pid(MASTER)
    cluster.write(groups=2, slaves=1)
    everybody = {NAMESRV, MASTER, SLAVE, "orders-broker-1-0", "orders-broker-1-1"}
    wait_for(
        lambda: {name for name in everybody if f"{name} is ready" in cluster.out} == everybody, lambda: cluster.out
    )
    cluster.write(groups=1, slaves=0)
    gone = everybody - {NAMESRV, MASTER}
    wait_for(lambda: {f"stop {name}" for name in gone} <= set(cluster.journal()), lambda: str(cluster.journal()))
    cluster.said("its folder stays, and the messages in it come back when the group is added again")
    assert (cluster.root / "orders-broker-1-0" / "log").exists()
    assert cluster.pid(MASTER) == before


def test_brokers_that_cannot_be_told_of_a_new_name_server_are_restarted_slave_first(cluster: Rocketctl) -> None:
    cluster.write(servers=1)
    cluster.up()
    cluster.write(servers=2)
    cluster.said(f"restarting {MASTER}: namesrvAddr changes")
    wait_for_journal(
        cluster, "start orders-namesrv-1", f"stop {SLAVE}", f"start {SLAVE}", f"stop {MASTER}", f"start {MASTER}"
    )


def test_an_edit_that_is_not_valid_changes_nothing(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    cluster.up()
    cluster.write(slaves=0, groups=0)
    cluster.said("spec.broker.groups: 0 is less than the minimum 1")
    cluster.said("is not valid any more; what it said before stays in force")
    cluster.write(slaves=1)
    wait_for_journal(cluster, f"start {SLAVE}")


def test_a_file_that_is_deleted_changes_nothing(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    cluster.up()
    cluster.file.unlink()
    cluster.said("cannot be read any more; what it said last stays in force")
    assert cluster.stop() == 0
    assert cluster.journal()[-2:] == [f"stop {MASTER}", f"stop {NAMESRV}"]


def test_a_second_up_on_one_folder_is_refused(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    cluster.up()
    first = cluster.ran[-1].pid
    assert cluster.start().wait(DEADLINE_SECONDS) == 1
    assert f"{cluster.root} is in use by another rocketctl (pid {first})" in cluster.err
    assert cluster.journal() == [f"start {NAMESRV}", f"start {MASTER}"]


def test_a_port_in_use_is_told_before_anything_starts(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    with socket.create_server(("127.0.0.1", cluster.broker_port - 2)):
        assert cluster.start().wait(DEADLINE_SECONDS) == 1
    told = f"port {cluster.broker_port - 2}, which {MASTER} needs for VIP, is in use by pid {os.getpid()} "
    assert told in cluster.err
    assert cluster.journal() == []


def test_members_do_not_outlive_a_killed_rocketctl(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    cluster.up()
    cluster.ran[-1].kill()
    wait_for(
        lambda: set(cluster.journal()[2:]) == {f"stop {NAMESRV}", f"stop {MASTER}"}, lambda: str(cluster.journal())
    )


def test_left_overs_that_are_deaf_are_killed_by_the_next_up(cluster: Rocketctl) -> None:
    cluster.write(slaves=0, regionId="is-deaf")
    cluster.up()
    deaf = cluster.pid(MASTER)
    cluster.ran[-1].kill()
    cluster.ran[-1].wait()
    assert runs(deaf)
    cluster.start()
    cluster.said(f"stopping {MASTER}: it is left over from an earlier run that was killed")
    os.kill(deaf, signal.SIGKILL)  # as the planner would, after 30 seconds
    wait_for_journal(cluster, f"start {MASTER}")


def test_a_second_ctrl_c_waits_for_nobody(cluster: Rocketctl) -> None:
    cluster.write(slaves=0, regionId="is-deaf")
    cluster.up()
    deaf = cluster.pid(MASTER)
    cluster.ran[-1].send_signal(signal.SIGINT)
    cluster.said(f"stopping {MASTER}")
    assert cluster.stop() == 0
    assert "Ctrl-C again kills" in cluster.out
    assert cluster.out.count(f"killing {MASTER}: nothing is waited for any more") == 1
    assert not runs(deaf)


def test_a_folder_that_cannot_be_made_is_refused(cluster: Rocketctl) -> None:
    cluster.write()
    cluster.root.write_text("a file is in the way")
    assert cluster.start().wait(DEADLINE_SECONDS) == 1
    assert f"the folder {cluster.root} cannot be used: File exists" in cluster.err


def test_a_manifest_with_mistakes_starts_nothing(cluster: Rocketctl) -> None:
    cluster.write(groups=0, slaves=-1)
    assert cluster.start().wait(DEADLINE_SECONDS) == 1
    assert cluster.err.splitlines() == [
        f"{cluster.file}: spec.broker.groups: 0 is less than the minimum 1",
        f"{cluster.file}: spec.broker.slavesPerGroup: -1 is less than the minimum 0",
    ]
    assert not cluster.root.exists()


def test_a_command_runs_once_all_is_ready_and_its_status_is_ours(cluster: Rocketctl) -> None:
    cluster.write(slaves=0)
    process = cluster.start("up", "--once-ready", 'echo "found $NAMESRV_ADDR"; exit 7')
    assert process.wait(DEADLINE_SECONDS) == 7
    assert f"found localhost:{cluster.first_port}" in cluster.out
    assert cluster.journal()[-2:] == [f"stop {MASTER}", f"stop {NAMESRV}"]

"""The figures of GET_BROKER_RUNTIME_INFO, named and written as tools parse them (protocol section 10.2)."""

from __future__ import annotations

import shutil
from typing import Final

from rocket_broker.state import Broker
from rocket_broker.statistics import PUT_BUCKETS
from rocket_wire.codes import CURRENT_VERSION

_GIB: Final = 1024**3


def runtime_figures(broker: Broker) -> dict[str, str]:
    """Every figure that mqadmin, the dashboard or the exporter reads; all values are text."""
    return {
        **_process(broker),
        **_throughput(broker),
        **_store(broker),
        **_thread_pools(),
    }


def _process(broker: Broker) -> dict[str, str]:
    started = broker.statistics.started_ms
    return {
        "brokerActive": "true",
        "brokerVersion": str(CURRENT_VERSION),
        "brokerVersionDesc": "V5_3_3",
        "bootTimestamp": str(started),
        "runtime": _duration(broker.now_ms() - started),
        "startAcceptSendRequestTimeStamp": "0",
        "pageCacheLockTimeMills": "0",
        "putMessageFailedTimes": str(broker.statistics.put_failures),
    }


def _throughput(broker: Broker) -> dict[str, str]:
    statistics = broker.statistics
    stored = sum(count.messages for count in statistics.stored_by_topic.values())
    size = sum(count.size for count in statistics.stored_by_topic.values())
    delivered = sum(count.messages for count in statistics.delivered_by_group.values())
    put = _rates(statistics.put_rate)
    got = _rates(statistics.get_rate)
    return {
        "msgPutTotalTodayNow": str(stored),
        "msgPutTotalTodayMorning": "0",
        "msgPutTotalYesterdayMorning": "0",
        "msgGetTotalTodayNow": str(delivered),
        "msgGetTotalTodayMorning": "0",
        "msgGetTotalYesterdayMorning": "0",
        "putTps": put,
        "getTotalTps": got,
        "getFoundTps": got,
        "getMissTps": "0.0 0.0 0.0",
        "getTransferredTps": got,
        "getTransferedTps": got,
        "putMessageTimesTotal": str(stored),
        "putMessageSizeTotal": str(size),
        "putMessageAverageSize": f"{size / stored if stored else 0:.1f}",
        "putMessageEntireTimeMax": f"{statistics.put_seconds_max * 1000:.0f}",
        "getMessageEntireTimeMax": "0",
        "putMessageDistributeTime": _distribution(statistics.put_buckets),
    }


def _store(broker: Broker) -> dict[str, str]:
    settings, store = broker.config.settings, broker.store
    disk = shutil.disk_usage(settings.root)
    ratio = f"{disk.used / disk.total:.2f}"
    return {
        "commitLogMinOffset": str(store.min_position),
        "commitLogMaxOffset": str(store.max_position),
        "commitLogDirCapacity": f"Total : {disk.total / _GIB:.2f} GiB, Free : {disk.free / _GIB:.2f} GiB.",
        "commitLogDiskRatio": ratio,
        f"commitLogDiskRatio_{settings.store_path_commit_log}": ratio,
        "consumeQueueDiskRatio": ratio,
        "dispatchBehindBytes": "0",
        "dispatchMaxBuffer": "0",
        "remainHowManyDataToFlush": f"{store.max_position - store.flushed_position} B",
        "remainHowManyDataToCommit": "0 B",
        "remainTransientStoreBufferNumbs": "2147483647",
        "earliestMessageTimeStamp": str(store.earliest_log_time() or -1),
        "timerReadBehind": "0",
        "timerOffsetBehind": "0",
        "timerCongestNum": "0",
        "timerEnqueueTps": "0.0",
        "timerDequeueTps": "0.0",
    }


def _thread_pools() -> dict[str, str]:
    """Apache's queues before its thread pools. There are none here, so nothing ever waits in them."""
    names = ("send", "pull", "query", "ack", "litePull", "EndTransaction")
    figures = {"Size": "0", "Capacity": "10000", "HeadWaitTimeMills": "0"}
    return {f"{name}ThreadPoolQueue{figure}": value for name in names for figure, value in figures.items()}


def _rates(rate: object) -> str:
    assert callable(rate)
    return " ".join(f"{rate(None, seconds):.2f}" for seconds in (10.0, 60.0, 600.0))


def _distribution(buckets: list[int]) -> str:
    bounds = [f"<={bound * 1000:g}ms" for bound in PUT_BUCKETS] + [f">{PUT_BUCKETS[-1] * 1000:g}ms"]
    return " ".join(f"[{bound}]:{count}" for bound, count in zip(bounds, buckets, strict=True))


def _duration(milliseconds: int) -> str:
    minutes = max(0, milliseconds) // 60_000
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"[ {days} days, {hours} hours, {minutes % 60} minutes, {milliseconds // 1000 % 60} seconds ]"

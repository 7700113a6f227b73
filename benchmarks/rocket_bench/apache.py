"""Apache's own servers and its benchmark Producer, from Maven's jars: the other side of the comparison.

Needs `java` and `mvn`. The brokers' Java flags are those of Apache's runbroker.sh, but for the heap, which is 2 GiB
instead of 8, and AlwaysPreTouch, without which memory is what the broker really used.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from time import perf_counter

from rocket_bench.case import Figures
from rocket_bench.processes import cpu_seconds
from rocket_bench.servers import BENCHMARKS, BUILD, Programs, Target, process, wait_line

VERSION = "5.5.0"
JARS = BUILD / f"apache-{VERSION}"

BROKER_FLAGS = (
    "-server", "-Xms2g", "-Xmx2g", "-XX:MaxDirectMemorySize=2g",
    "-XX:+UseG1GC", "-XX:G1HeapRegionSize=16m", "-XX:G1ReservePercent=25", "-XX:InitiatingHeapOccupancyPercent=30",
    "-XX:SoftRefLRUPolicyMSPerMB=0", "-XX:-OmitStackTraceInFastThrow", "-XX:-UseLargePages",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)  # fmt: skip
_NAMESRV_FLAGS = ("-Xms256m", "-Xmx256m")
_PRODUCER_FLAGS = ("-Xms512m", "-Xmx512m")

_TPS = re.compile(r"TPS: (\d+) .*Average RT\(ms\): +([\d.]+) .*Send Failed: (\d+) .*Response Failed: (\d+)")
#: The Producer prints a line every ten seconds, each about the ten seconds before.
_LINE_SECONDS = 15.0


class ToolMissing(Exception):
    """No Java, or no Maven."""


def fetch() -> None:
    """Puts the jars into JARS, once. Raises ToolMissing, or CalledProcessError when Maven fails."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise ToolMissing(f"{tool} is not installed: the comparison needs a JDK and Maven")
    if not JARS.exists():
        partial = JARS.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pom = ["-f", str(BENCHMARKS / "apache" / "pom.xml"), f"-Drocketmq.version={VERSION}", "-Pbenchmark"]
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={partial}", "-DincludeScope=runtime"]
        subprocess.run(["mvn", "-q", "-B", *pom, *goal], check=True)
        partial.rename(JARS)


def programs() -> Programs:
    return Programs(
        "Apache",
        java("org.apache.rocketmq.namesrv.NamesrvStartup", _NAMESRV_FLAGS),
        java("org.apache.rocketmq.broker.BrokerStartup", BROKER_FLAGS),
    )


def java(main: str, flags: tuple[str, ...]) -> list[str]:
    """The words of a command. Logs go under the build folder, not into the user's home."""
    home = BUILD / "java-home"
    home.mkdir(parents=True, exist_ok=True)
    return ["java", *flags, f"-Duser.home={home}", "-cp", f"{JARS}/*", main]


def produce(target: Target, threads: int, body_bytes: int = 128) -> Figures:
    """What the benchmark Producer says of its second ten seconds; the first warm up both JVMs."""
    command = java("org.apache.rocketmq.example.benchmark.Producer", _PRODUCER_FLAGS)
    options = ["-n", target.namesrv, "-w", str(threads), "-s", str(body_bytes)]
    with process("producer", [*command, *options]) as running:
        lines = _lines(running)
        next(lines)
        cpu, begin = cpu_seconds(target.pid), perf_counter()
        rate, average, failed = next(lines)
        seconds = perf_counter() - begin
        messages = round(rate * seconds)
        return Figures(
            messages=messages,
            seconds=seconds,
            cpu=(cpu_seconds(target.pid) - cpu) * 1e6 / max(1, messages),
            p50=average,
            failures=failed,
            failure="told by the Producer" if failed else "",
        )


def _lines(running: subprocess.Popen[bytes]) -> Iterator[tuple[int, float, int]]:
    """(sends a second, average milliseconds, failures) of each line that the Producer prints."""
    log, seen = BUILD / "producer.log", 0
    while True:
        found = wait_line(running, log, _TPS, seen, _LINE_SECONDS)
        seen += 1
        rate, average, *failed = found.groups()
        yield int(rate), float(average), sum(map(int, failed))


def version_of_java() -> str:
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[0]

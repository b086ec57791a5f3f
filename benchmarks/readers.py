"""500 event streams and 200 WebSockets, each following one of 100 operations, and one reader that never reads.

The operations change ten times a second and enter a stage once a second. Each change carries the time at which it was
made, so that a reader, which is in a process of its own, can tell how far it is behind. Progress between two beats of
the pulse (a tenth of a second) is told together, as it is meant to be: that tenth is in the figures of `update`, and
not in those of `stage`. How late the machine itself is stands beside: `writer late` is by how much the thread that
makes the changes, and `client late` by how much a task that only sleeps, comes after its time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

STREAMS = 500
SOCKETS = 200
OPERATIONS = 100
SECONDS = 20.0
BUDGET_MS = 250.0
TICK = 0.01
STAGE_EVERY = 10

Figures = dict[str, float]


def main() -> int:
    """Measure, and print one JSON object of figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.port is not None:
        print(json.dumps(asyncio.run(read(arguments.port, arguments.streams, arguments.sockets))))
        return 0
    print(json.dumps({name: round(value, 2) for name, value in measure(arguments).items()}))
    return 0


def table(figures: Figures) -> str:
    """The figures as a Markdown table."""
    rows = [f"| {name.replace('_', ' ')} | {value:,.1f} |" for name, value in figures.items()]
    mark = "" if figures["update_p99_ms"] <= BUDGET_MS else " (over)"
    return "\n".join([f"| readers, budget {BUDGET_MS:g} ms behind{mark} | |", "|---|---|", *rows])


# --- the process that is measured ---------------------------------------------------------------


def measure(arguments: argparse.Namespace) -> Figures:
    """Serve the operations while another process reads them."""
    from midspan.core import failures
    from midspan.runtime.pulse import Pulse
    from midspan.server.app import create_app
    from midspan.server.embedded import EmbeddedServer
    from midspan.tracking.tracker import get_progress_registry

    registry = get_progress_registry()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    server = EmbeddedServer(lambda: create_app(registry, metrics=lambda _: (b"", "text/plain")), port=0)
    server.start()
    pulse = Pulse(registry)
    pulse.start()
    work = Work(registry)
    command = [sys.executable, "-m", "benchmarks.readers", "--port", str(server.address.port)]
    command += ["--streams", str(arguments.streams), "--sockets", str(arguments.sockets)]
    sleeper = asleep(server.address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()  # everybody is connected
        figures = work.run(arguments.seconds)
        told = json.loads(reader.stdout.readline())
    sleeper.close()
    pulse.stop()
    server.stop()
    return {**told, **figures, "internal_errors": sum(failures.counts().values())}


def asleep(address: Any) -> socket.socket:
    """A reader of everything that never reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address)
    connection.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


class Work:
    """A hundred operations that change ten times a second each, evenly spread."""

    def __init__(self, registry: Any) -> None:
        self.trackers = [registry.create_tracker(f"op-{number}") for number in range(OPERATIONS)]
        for tracker in self.trackers:
            tracker.enter_stage("s-0", stamp())

    def run(self, seconds: float) -> Figures:
        """Work for that long, then end every operation. CPU and memory are of this whole process."""
        sizes = [resident()]
        begun, spent = time.monotonic(), time.process_time()
        tick = 0
        late: list[float] = []
        while time.monotonic() - begun < seconds:
            self._change(tick)
            tick += 1
            if tick % int(seconds / TICK / 4) == 0:
                sizes.append(resident())
            due = begun + tick * TICK
            time.sleep(max(0.0, due - time.monotonic()))
            late.append((time.monotonic() - due) * 1e3)
        spent = time.process_time() - spent
        for tracker in self.trackers:
            tracker.complete(stamp())
        return {
            "writer_late_p99_ms": statistics.quantiles(late, n=100)[98],
            "server_cpu_percent": spent / seconds * 100,
            "server_threads": threading.active_count(),
            **{f"server_mib_after_{number}_quarters": size for number, size in enumerate(sizes)},
        }

    def _change(self, tick: int) -> None:
        per_tick = int(OPERATIONS * TICK * 10)
        first = tick * per_tick % OPERATIONS
        rounds = tick * per_tick // OPERATIONS
        for tracker in self.trackers[first : first + per_tick]:
            if rounds % STAGE_EVERY == STAGE_EVERY - 1:
                tracker.enter_stage(f"s-{rounds // STAGE_EVERY + 1}", stamp())
            else:
                tracker.update(rounds, stamp())


def stamp() -> str:
    """Now, as the message of a change."""
    return f"{time.time():.6f}"


def resident() -> float:
    """MiB of memory that the process has, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- the process of the readers -----------------------------------------------------------------

PING = b"\x89\x04"
"""How a ping of uvicorn's begins: in text of ASCII it cannot occur."""
CHANGE = re.compile(rb'"status":"(\w+)"[^}]*?"stage":"s-(\d+)".*?"message":"([0-9.]+)"', re.DOTALL)


class Seen:
    """What all readers together have seen: milliseconds behind, and who has missed what."""

    def __init__(self) -> None:
        self.behind: dict[str, list[float]] = defaultdict(list)
        self.missed = 0
        self.open = 0
        self.lost = 0
        self.all_ended = asyncio.Event()

    def ended(self) -> None:
        """One reader has come to its end."""
        self.open -= 1
        if not self.open:
            self.all_ended.set()


class Watching(asyncio.Protocol):
    """One reader: a stream or a WebSocket, whose text is looked through for changes."""

    def __init__(self, seen: Seen, opening: bytes, then: bytes = b"") -> None:
        self.seen = seen
        self.opening = opening
        self.then = then
        self.rest = b""
        self.stage = -1
        self.connected = asyncio.get_running_loop().create_future()
        self.has_ended = False

    def connection_made(self, transport: Any) -> None:
        self.seen.open += 1
        self.transport = transport
        transport.write(self.opening)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if self.then:
            self.transport.write(self.then)
            self.then = b""
        self.rest += data
        ping = data.find(PING)
        if ping >= 0:
            self.transport.write(b"\x8a\x84\0\0\0\0" + data[ping + 2 : ping + 6])
        end = 0
        for change in CHANGE.finditer(self.rest):
            end = change.end()
            self._change(now, change[1], int(change[2]), float(change[3]))
        self.rest = self.rest[end:]

    def _change(self, now: float, status: bytes, stage: int, made_at: float) -> None:
        if self.stage < 0:
            self.stage = stage
            self.connected.set_result(None)
            return
        self.seen.missed += max(0, stage - self.stage - 1)
        kind = "end" if status == b"completed" else "stage" if stage > self.stage else "update"
        self.seen.behind[kind].append((now - made_at) * 1e3)
        self.stage = max(self.stage, stage)
        if kind == "end" and not self.has_ended:
            self.has_ended = True
            self.seen.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.has_ended:
            self.seen.lost += 1
            self.seen.ended()


async def read(port: int, streams: int, sockets: int) -> Figures:
    """Connect everybody, say so, and read until each operation has ended for each of its readers."""
    seen, loop = Seen(), asyncio.get_running_loop()
    for number in range(streams + sockets):
        openings = (stream_of(number),) if number < streams else socket_of(number)
        _, reader = await loop.create_connection(lambda openings=openings: Watching(seen, *openings), "127.0.0.1", port)
        await asyncio.wait_for(reader.connected, 30)
    print("connected", flush=True)
    sleeping = asyncio.create_task(sleep_on(late := []))
    await asyncio.wait_for(seen.all_ended.wait(), 600)
    sleeping.cancel()
    return {**figures_of(seen), "client_late_p99_ms": statistics.quantiles(late, n=100)[98]}


async def sleep_on(late: list[float]) -> None:
    """Sleep a hundredth of a second, again and again, and note by how many milliseconds it was longer."""
    while True:
        begun = time.monotonic()
        await asyncio.sleep(TICK)
        late.append((time.monotonic() - begun - TICK) * 1e3)


def stream_of(number: int) -> bytes:
    """The request of an event stream of one operation."""
    return f"GET /v1/operations/op-{number % OPERATIONS}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def socket_of(number: int) -> tuple[bytes, bytes]:
    """The handshake of a WebSocket, and its one message after that: a subscription to one operation."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    text = json.dumps({"type": "subscribe", "filter": {"ids": f"op-{number % OPERATIONS}"}}).encode()
    return head.encode(), bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text


def figures_of(seen: Seen) -> Figures:
    """Percentiles, and what was lost."""
    figures: Figures = {}
    for kind in ("update", "stage", "end"):
        behind = sorted(seen.behind[kind])
        hundredths = statistics.quantiles(behind, n=100)
        figures |= {f"{kind}s": len(behind), f"{kind}_p50_ms": hundredths[49], f"{kind}_p99_ms": hundredths[98]}
        figures[f"{kind}_worst_ms"] = behind[-1]
    return {**figures, "stages_missed": seen.missed, "readers_lost": seen.lost}


if __name__ == "__main__":
    sys.exit(main())

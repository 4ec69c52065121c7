"""The load client, a process of its own: `python -m bench.load PORT CONNECTIONS SECONDS FILE [LATENCIES]`.

Closed loop over keep-alive connections on loopback; every request of FILE is sent at most once, in order. With one
connection it blocks instead of polling, for clean latencies. Prints one line of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0  # for the last answers


def write_requests(path: Path, requests: Iterable[tuple[int, bytes]]) -> int:
    """(tag, raw request) pairs into FILE's form; the number of them."""
    n = 0
    with path.open("wb") as f:
        for tag, raw in requests:
            f.write(struct.pack("<II", tag, len(raw)) + raw)
            n += 1
    return n


def fire(port: int, connections: int, seconds: float, requests: Path, latencies: Path | None = None) -> dict[str, Any]:
    """Runs the client; `n`, `secs`, `status`, `client_s` (its own CPU) and latencies in ms."""
    more = [str(latencies)] if latencies else []
    command = [sys.executable, "-m", "bench.load", str(port), str(connections), str(seconds), str(requests), *more]
    out: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=Path(__file__).parent.parent))
    return out


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, blocking: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(blocking)
        self._buffer = b""
        self.tag = self.sent_at = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, tag: int, raw: bytes) -> None:
        self.tag, self._buffer = tag, b""
        self.sent_at = time.perf_counter_ns()
        if self._socket.send(raw) != len(raw):  # requests are small; a loopback socket takes them whole
            raise ConnectionError("request not taken")

    def receive(self) -> int:
        """Status of the answer, 0 while it is not complete."""
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return 0
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        return int(head[9:12]) if len(body) >= length else 0

    def close(self) -> None:
        self._socket.close()


def run(port: int, connections: int, seconds: float, blob: bytes) -> tuple[list[tuple[int, int, int]], int, float]:
    """(tag, ns, status) of each answer, unanswered ones, and seconds."""
    offset, out, lost = 0, list[tuple[int, int, int]](), 0
    lines = [Connection(port, connections == 1) for _ in range(connections)]
    poll = select.epoll()
    begun = time.monotonic()
    until = begun + seconds

    def send_next(line: Connection) -> bool:
        nonlocal offset
        if offset >= len(blob) or time.monotonic() >= until:
            return False
        tag, length = struct.unpack_from("<II", blob, offset)
        line.send(tag, blob[offset + 8 : offset + 8 + length])
        offset += 8 + length
        return True

    if connections == 1:
        line = lines[0]
        while send_next(line):
            while not (status := line.receive()):
                pass
            out.append((line.tag, time.perf_counter_ns() - line.sent_at, status))
    else:
        by_fd = {line.fileno(): line for line in lines}
        waiting = 0
        for line in lines:
            poll.register(line, select.EPOLLIN)
            waiting += send_next(line)
        while waiting:
            ready = poll.poll(PATIENCE_S)
            if not ready:
                lost = waiting
                break
            for fd, _ in ready:
                line = by_fd[fd]
                if status := line.receive():
                    out.append((line.tag, time.perf_counter_ns() - line.sent_at, status))
                    if not send_next(line):
                        waiting -= 1
    secs = time.monotonic() - begun
    for line in lines:
        line.close()
    return out, lost, secs


def main(argv: list[str]) -> None:
    port, connections, seconds = int(argv[0]), int(argv[1]), float(argv[2])
    answers, lost, secs = run(port, connections, seconds, Path(argv[3]).read_bytes())
    if len(argv) > 4:
        Path(argv[4]).write_text("".join(f"{t} {ns} {s}\n" for t, ns, s in answers), encoding="ascii")
    ms = sorted(ns / 1e6 for _, ns, _ in answers) or [0.0]
    status = Counter(str(s) for _, _, s in answers)
    figures = {
        "n": len(answers),
        "lost": lost,
        "secs": round(secs, 3),
        "status": dict(status),
        "client_s": round(time.process_time(), 3),
        "p50_ms": round(ms[len(ms) // 2], 3),
        "p99_ms": round(ms[int((len(ms) - 1) * 0.99)], 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])

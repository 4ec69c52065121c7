"""Requests at a rate, whatever becomes of those before: `python -m bench.offer PORT RATE SECONDS FILE`.

Each goes over a connection of its own choice among up to 1,500 that are kept. One that is due while all are taken, or
that this machine comes too late to send, is not sent; `meant` tells how many there were. Prints one line of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path

CONNECTIONS, PATIENCE_S = 1500, 30.0


def run(port: int, rate: int, seconds: float, blob: bytes) -> dict[str, object]:
    poll, offset = select.epoll(), 0
    free: list[socket.socket] = []
    busy: dict[int, tuple[socket.socket, float]] = {}
    status: Counter[str] = Counter()
    took: list[float] = []
    sent = opened = without = lost = 0
    begun = time.monotonic()
    last = begun + seconds + PATIENCE_S
    while True:
        now = time.monotonic()
        due = min(int((now - begun) * rate), int(seconds * rate)) if now < begun + seconds else 0
        while sent < due and offset < len(blob):
            _, length = struct.unpack_from("<II", blob, offset)
            raw = blob[offset + 8 : offset + 8 + length]
            if not free:
                if opened >= CONNECTIONS:
                    break
                line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poll.register(line, select.EPOLLIN)
                free.append(line)
                opened += 1
            line = free.pop()
            offset += 8 + length
            sent += 1
            busy[line.fileno()] = line, time.monotonic()
            line.sendall(raw)
        if (now >= begun + seconds and not busy) or now > last:
            break
        for fd, _event in poll.poll(0.001):
            if fd not in busy:
                continue
            line, at = busy.pop(fd)
            answer = line.recv(65_536)
            if not answer:
                lost += 1
                opened -= 1
                poll.unregister(line)
                line.close()
                continue
            code = answer[9:12].decode()
            status[code] += 1
            if code == "202":
                took.append((time.monotonic() - at) * 1000)
            without += code == "503" and b"retry-after:" not in answer.lower()
            if b"connection: close" in answer.lower():
                opened -= 1
                poll.unregister(line)
                line.close()
            else:
                free.append(line)
    took.sort()
    return {
        "meant": int(rate * seconds),
        "n": sent,
        "status": dict(status),
        "without": without,
        "lost": lost + len(busy),
        "p99_ms": round(took[int((len(took) - 1) * 0.99)], 1) if took else 0.0,
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]).read_bytes())))

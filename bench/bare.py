"""The machine's bare limits, measured beside everything else: what the same work costs with nothing around it."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import threading
import time
from pathlib import Path

import psycopg
from argon2 import low_level

from bench.load import fire, write_requests
from bench.machine import Meter
from bench.stage import Base, Sink, Stage
from bench.traffic import api

COLUMNS = "handle, identifier, subject, journey, system, locale, source, agent, asked_at, expires_at, state"
MAIL = b"To: a@example.com\r\nSubject: x\r\n\r\n" + b"Somebody asked to get back into an account.\r\n" * 60 + b".\r\n"


def answer(stage: Stage, secs: float, connections: int) -> float:
    """CPU microseconds of a bare ASGI answer through the same server."""
    requests = stage.folder / "bare.bin"
    with stage.app(None) as app:
        write_requests(requests, ((0, api(app.port, f"x{i}@example.com")) for i in range(int(secs * 12000) + 2000)))
        fire(app.port, connections, 0.5, requests)
        meter = Meter([app.child.pid])
        done = fire(app.port, connections, secs, requests)
        return meter.read(done["n"])["cpu_us"]


def inserts(base: Base, secs: float, rows: int) -> float:
    """CPU microseconds a row of durable inserts of `rows` rows a commit, nothing else: client and database."""
    meter, n, until = Meter([os.getpid()], base.pids), 0, time.monotonic() + secs
    if not base.pids:
        lite = sqlite3.connect(base.url.removeprefix("sqlite:///"), isolation_level=None)
        lite.execute("PRAGMA synchronous=FULL")
        marks = ",".join("?" * 11)
        while time.monotonic() < until:
            lite.execute("BEGIN IMMEDIATE")
            lite.executemany(f"INSERT INTO intakes ({COLUMNS}) VALUES ({marks})", [_row() for _ in range(rows)])
            lite.execute("COMMIT")
            n += rows
        figure = meter.read(n)["cpu_us"]
        lite.close()
        return figure
    arrays = ", ".join(
        f"%s::{t}[]" for t in ["text", "bytea", "bytea", "text", "text", "text", "text", "text", "int8", "int8", "text"]
    )
    with psycopg.connect(base.url) as conn:
        while time.monotonic() < until:
            columns = [list(c) for c in zip(*(_row() for _ in range(rows)), strict=True)]
            conn.execute(f"INSERT INTO intakes ({COLUMNS}) SELECT * FROM unnest({arrays})", columns, prepare=True)
            conn.commit()
            n += rows
        return meter.read(n)["cpu_us"]


def _row() -> tuple[object, ...]:
    # State `done`: no worker is meant to find these.
    fixed = ("password", "", "en", "127.0.0.1", "x" * 100, 1, 2, "done")
    return (secrets.token_urlsafe(16), b"i" * 60, b"s" * 16, *fixed)


def mails(sink: Sink, n: int = 3000) -> float:
    """CPU microseconds of handing one prepared mail over a warm, pipelined connection."""
    with socket.create_connection(("127.0.0.1", sink.port), 10) as s:
        s.recv(999)
        s.sendall(b"EHLO bench\r\n")
        s.recv(999)
        begun = time.process_time()
        for i in range(n):
            s.sendall(b"MAIL FROM:<k@example.com>\r\nRCPT TO:<u%08d@example.com>\r\nDATA\r\n" % i)
            replies = b""
            while replies.count(b"\n") < 3:
                replies += s.recv(999)
            s.sendall(MAIL)
            s.recv(99)
        spent = time.process_time() - begun
        s.sendall(b"QUIT\r\n")
    return round(spent / n * 1e6, 1)


def hashes(threads: int, n: int, t: int, m_kib: int, p: int) -> tuple[float, float]:
    """(hashes a second, CPU ms a hash) of argon2id in so many threads, nothing else."""
    left, lock = [n], threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not left[0]:
                    return
                left[0] -= 1
            low_level.hash_secret(b"correct horse battery", secrets.token_bytes(16), t, m_kib, p, 32, low_level.Type.ID)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    cpu, wall = time.process_time(), time.monotonic()
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return n / (time.monotonic() - wall), (time.process_time() - cpu) / n * 1e3


def fsync_ms(folder: Path, n: int = 200) -> float:
    """Median milliseconds of making 8 KiB durable."""
    took = []
    with (folder / "fsync").open("wb", buffering=0) as f:
        for _ in range(n):
            f.write(b"x" * 8192)
            begun = time.perf_counter()
            os.fdatasync(f.fileno())
            took.append(time.perf_counter() - begun)
    return round(sorted(took)[n // 2] * 1e3, 3)

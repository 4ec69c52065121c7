"""A real rsyslog takes the stream over TLS, and what it wrote is what the audit log holds."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyback.application.ports.siem import Siem, SiemRules
from keyback.application.siem.stream import SiemStream
from keyback.domain.recovery.events import Note
from keyback.outbound.syslog import SyslogLink, SyslogServer
from tests.support.certificates import Certificate, certificate
from tests.support.kit import Kit

CONF = """global(workDirectory="{work}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="whole" type="string" string="%pri%|%timereported:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{out}" template="whole" asyncWriting="off" flushOnTXEnd="on")
"""  # noqa: E501 - one line of its own language


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[tuple[int, Path, Certificate]]:
    found = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
    if not found:
        pytest.skip("needs Debian's rsyslog and rsyslog-gnutls")
    made, out = certificate(tmp_path), tmp_path / "siem.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conf = tmp_path / "rsyslog.conf"
    files = {"ca": made.ca, "cert": made.certificate, "key": made.key}
    conf.write_text(CONF.format(work=tmp_path, port=port, out=out, **files))
    run = subprocess.Popen([found, "-n", "-f", conf, "-i", tmp_path / "pid"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert run.poll() is None, "rsyslogd ended"
            time.sleep(0.1)
        yield port, out, made
    finally:
        run.terminate()
        run.wait(30)


@pytest.mark.slow
def test_rsyslog_writes_what_the_audit_log_holds(
    make_kit: Callable[..., Kit], rsyslog: tuple[int, Path, Certificate]
) -> None:
    port, out, made = rsyslog
    kit = make_kit()
    siem = Siem(
        SyslogLink(SyslogServer("127.0.0.1", port, ca_file=made.ca)), SiemRules("recover.example.com", "json", 10**6)
    )
    sent = SiemStream(kit.services.db, siem, lambda: 0.5)
    kit.run(sent.step())
    begun = kit.read(lambda tx: tx.audit.head()[0])
    kit.write(lambda tx: tx.audit.record("c" * 22, [Note("requested", {"journey": "password"})] * 1200))
    kit.write(lambda tx: tx.audit.record("c" * 22, [Note("glass_broken", {"operator": "o" * 22, "kind": "unlock"})]))
    while kit.run(sent.step()):
        pass
    kit.run(sent.finish())
    lines: list[str] = []
    for _ in range(600):
        lines = out.read_text().splitlines() if out.exists() else []
        if len(lines) >= 1201:
            break
        time.sleep(0.05)
    told = [json.loads(line.split("|", 6)[6]) for line in lines]
    assert [t["data"]["seq"] for t in told] == list(range(begun + 1, begun + 1202))
    hashes = [r.hash for r in kit.read(lambda tx: tx.siem.rows(begun, 2000))]
    assert [t["hash"] for t in told] == hashes
    pri, at, host, app, msgid, data, _ = lines[-1].split("|", 6)
    assert (pri, host, app, msgid) == ("82", "recover.example.com", "keyback", "glass_broken")
    assert at.startswith("2026-")
    assert data == f'[meta sequenceId="{begun + 1201}"]'

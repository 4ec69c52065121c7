"""nginx by the example of the documents."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.house import ROOT

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "")
EXAMPLE = ROOT / "docs" / "examples" / "nginx.conf"


def free_ports(n: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def certificate(folder: Path) -> None:
    """A certificate of our own for localhost."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    built = built.not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    (folder / "cert.pem").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)


@contextlib.contextmanager
def proxied(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """Runs nginx by the example, with addresses and paths of this place."""
    certificate(folder)
    changes = {
        "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        "listen 80": f"listen 127.0.0.1:{free_ports(1)[0]}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "server_name recover.example.com": "server_name localhost",
        "https://recover.example.com": f"https://localhost:{port}",
        "/etc/ssl/recover.example.com.pem": str(folder / "cert.pem"),
        "/etc/ssl/private/recover.example.com.key": str(folder / "key.pem"),
        "/var/log/nginx/": f"{folder}/",
    }
    text = EXAMPLE.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    temps = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temp = "\n".join(f"{what}_temp_path {folder}/{what};" for what in temps)
    user, errors = "user root;" if os.geteuid() == 0 else "", folder / "start.txt"
    conf = folder / "nginx.conf"
    top = f"daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {errors};"
    conf.write_text(f"{top}\nevents {{}}\nhttp {{\n{temp}\n{text}\n}}\n")
    process = subprocess.Popen([NGINX, "-e", str(errors), "-p", str(folder), "-c", str(conf)], stdout=sys.stderr)
    try:
        for _ in range(200):
            assert process.poll() is None, errors.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)

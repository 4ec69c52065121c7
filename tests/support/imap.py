"""A mailbox that is read by IMAP over TLS, as far as `ImapMailbox` speaks it; loopback only."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
from pathlib import Path
from typing import Any

from tests.support.certificates import certificate


class ImapServer:
    """Keeps mails with their flags. `login`: what opens it; `failing`: answers NO to this command."""

    def __init__(self, folder: Path, login: tuple[str, str] = ("bounces", "let me read")) -> None:
        made = certificate(folder)
        self.ca, self.login, self.failing = made.ca, login, ""
        self.mails: list[tuple[bytes, set[str]]] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(made.certificate, made.key)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer._talk(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def get_request(self) -> Any:
                sock, address = super().get_request()
                return tls.wrap_socket(sock, server_side=True), address

            def handle_error(self, *_: Any) -> None:
                """A client that doesn't trust us goes away; that is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> ImapServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _talk(self, h: Any) -> None:
        h.wfile.write(b"* OK ready\r\n")
        for line in iter(h.rfile.readline, b""):
            tag, _, rest = line.decode().strip().partition(" ")
            word = rest.upper().removeprefix("UID ").split(" ")[0]
            ok = word != self.failing
            if word == "LOGIN":
                ok = ok and rest.split(" ", 1)[1].replace('"', "") == " ".join(self.login)
            if ok:
                self._answer(h, word, rest)
            h.wfile.write(f"{tag} {'OK' if ok else 'NO'} done\r\n".encode())
            if word == "LOGOUT":
                return

    def _answer(self, h: Any, word: str, rest: str) -> None:
        if word == "CAPABILITY":
            h.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
        elif word == "SELECT":
            h.wfile.write(f"* {len(self.mails)} EXISTS\r\n".encode())
        elif word == "SEARCH":
            new = [str(n) for n, (_, flags) in enumerate(self.mails, 1) if "\\Seen" not in flags]
            h.wfile.write(f"* SEARCH {' '.join(new)}\r\n".encode())
        elif word == "FETCH":
            number = int(rest.split(" ")[2])
            raw = self.mails[number - 1][0]
            h.wfile.write(f"* {number} FETCH (UID {number} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        elif word == "STORE":
            for number in rest.split(" ")[2].split(","):
                self.mails[int(number) - 1][1].update(re.findall(r"\\\w+", rest))
        elif word == "EXPUNGE":
            self.mails = [m for m in self.mails if "\\Deleted" not in m[1]]
        elif word == "LOGOUT":
            h.wfile.write(b"* BYE\r\n")

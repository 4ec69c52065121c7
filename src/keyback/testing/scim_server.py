"""A real SCIM server, scim2-server, on 127.0.0.1 in a thread: for tests of the SCIM connector and for trying it.

Needs the package `scim2-server` beside this Python. It keeps its users in memory and has neither a sign-in nor a
password policy nor locks; what it would compare a password with is what counts.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx2

if TYPE_CHECKING:
    from scim2_models import ScimProvider
    from scim2_server.memory import InMemoryStorage

TOKEN = "token-of-a-scim-server-0815"  # noqa: S105 - of a server that lives as long as a test
ADMINISTRATORS = "admin"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


class _Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@dataclass(slots=True)
class ScimServer:
    """A running server; `url` is the base address of SCIM, `storage` what it holds."""

    storage: InMemoryStorage
    url: str
    _server: WSGIServer
    _thread: threading.Thread

    @property
    def port(self) -> int:
        return self._server.server_port

    def section(self, url: str = "", **more: Any) -> dict[str, Any]:
        """A section of `keyback.toml` that connects it, over another address where one is given."""
        return {"url": url or self.url, "secret": TOKEN, "privileged_roles": [ADMINISTRATORS], **more}

    def add_user(
        self, username: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False
    ) -> str:
        """A new user; gives the id. Raises `httpx2.HTTPStatusError` when the server refuses."""
        body = {
            "schemas": [USER],
            "userName": username,
            "password": password,
            "active": not disabled,
            "emails": [{"value": mail, "primary": True}],
            "roles": [{"value": ADMINISTRATORS}] if privileged else [],
        }
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/scim+json"}
        answer = httpx2.post(f"{self.url}/Users", json=body, headers=headers, trust_env=False)
        return str(answer.raise_for_status().json()["id"])

    def user(self, external_id: str = "", username: str = "") -> Any:
        """As the server holds it; None when there is none."""
        users: list[Any] = list(self.storage.resources)
        return next((u for u in users if external_id == u.id or username == u.user_name), None)

    def signs_in(self, username: str, password: str) -> bool:
        """Whether this is the password that the server holds for somebody who is active."""
        user = self.user(username=username)
        return user is not None and user.active is not False and user.password == password

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@functools.cache
def _provider() -> ScimProvider:
    """What the server knows of users and groups; making the models of it takes longest, so they are made once."""
    from scim2_models import ScimProvider
    from scim2_server.utils import (
        load_default_resource_types,
        load_default_schemas,
        load_default_service_provider_config,
    )

    return ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )


def start_scim() -> ScimServer:
    """An empty server at a free port. Its package takes seconds to import, so it is not before it is needed."""
    from scim2_server.memory import InMemoryStorage
    from scim2_server.service import ScimService
    from scim2_server.testserver.application import BearerTokenApplication

    storage, provider = InMemoryStorage(), _provider()
    service = ScimService(provider, secret="of this server alone")  # noqa: S106 - of a server that lives as long as a test
    app = BearerTokenApplication(storage, provider, service=service, bearer_tokens=[TOKEN])
    server = make_server("127.0.0.1", 0, app, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    return ScimServer(storage, f"http://127.0.0.1:{server.server_port}/v2", server, thread)

"""Stand-ins for vendors' clouds: stateful, strict, and made to break on demand. For the demo and for tests alone.

They are written from the vendors' documents and the contracts in `tests/contracts/vendors`, by nobody who writes the
connectors, and import nothing of those. How a connector's author uses one::

    from keyback.demo.vendors import Salesforce, serve
    from keyback.demo.vendors.salesforce.seed import register, seed

    fake = Salesforce()
    seed(fake)                           # the invented company, with planted troubles (`seeds.PEOPLE`)
    app = register(fake)                 # key, secret, user name and private key of an External Client App
    with serve(fake) as address:         # http://127.0.0.1:PORT, in a thread
        ...                              # let the connector work on `address`
        fake.faults.add("time_out_after", "/password", "POST")   # applied, never answered; kinds: `faults.Fault`
        fake.expire_tokens()
        fake.permissions.discard("ManageUsers")                  # then the vendor's own error comes
        fake.sign_in("chenyu@qingyu.example.com", "new one")     # "ok", as a person on the sign-in page
        fake.accounts.named("chenyu@qingyu.example.com").changes # how often the password was set
        fake.calls[-1]                                           # method, path, status; never what was in it

To hold both sides of every call to the contract, serve `tests.support.held.Held(fake, "salesforce.yaml")` and look at
its `faults` at the end. Time is `clock` (ms), handed in; what people see is at `fake.brand.path`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.demo.vendors.dynamics365.app import Dynamics365
from keyback.demo.vendors.fxiaoke.app import Fxiaoke
from keyback.demo.vendors.odoo.app import Odoo
from keyback.demo.vendors.salesforce.app import Salesforce
from keyback.demo.vendors.zoho.app import Zoho
from keyback.testing.serving import served

__all__ = ["Dynamics365", "Fxiaoke", "Mounted", "Odoo", "Salesforce", "Zoho", "serve"]


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """A fake on a free port of 127.0.0.1, in a thread of its own; gives its address, without a slash at the end."""
    with served(app) as address:
        yield address


class Mounted:
    """A fake below a path of something larger, such as the demo: its links and cookies stay below `prefix`."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "root_path": self.prefix}, receive, send)

"""A recovery by the client that openapi-python-client made: prints each state, reads the mailed code from its input."""

import sys

from keyback_client.api.recoveries import choose_password, get_recovery, start_recovery, verify_proof
from keyback_client.client import AuthenticatedClient, Client
from keyback_client.models import (
    Applying,
    Code,
    Done,
    NewPassword,
    Proven,
    Start,
    Started,
    VerifyProofProofType0,
    Waiting,
)

url, identifier, password = sys.argv[1:]
base = f"{url}/api/v1"
started = start_recovery.sync(client=Client(base), body=Start(identifier, locale="zh-CN", system="builtin"))
assert isinstance(started, Started), started
client = AuthenticatedClient(base, token=started.secret)
waiting = get_recovery.sync(started.handle, client=client)
assert isinstance(waiting, Waiting), waiting
print(waiting.state, flush=True)
code = sys.stdin.readline().strip()
proven = verify_proof.sync(started.handle, VerifyProofProofType0.EMAIL_LINK, client=client, body=Code(code))
assert isinstance(proven, Proven), proven
print(proven.state, flush=True)
chosen = choose_password.sync(started.handle, client=client, body=NewPassword(password))
assert isinstance(chosen, (Applying, Done)), chosen
while isinstance(chosen, Applying):
    chosen = get_recovery.sync(started.handle, client=client)
assert isinstance(chosen, Done), chosen
print(chosen.state, chosen.results[0].result, flush=True)

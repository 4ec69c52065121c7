"""Keyback as a target of the comparison with other products; the driver gives `peerlib`.

One process of `keyback serve` with its worker (`keyback-accept`: without), PostgreSQL, mail to the driver's sink,
hashing at the default costs.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from peerlib import SINK_PORT, TMP, Target, http, psql

HERE = Path(__file__).resolve().parent.parent
KEYBACK = os.environ.get("KEYBACK_BIN", str(HERE / ".venv/bin/keyback"))
JSON = "application/json"
HIDDEN = re.compile(rb'<input type="hidden" name="([^"]+)" value="([^"]*)"')
SEED = """
INSERT INTO people (id, key, name, locale, tier, state, created_at)
  SELECT substr(md5('p' || i), 1, 22), 'user' || lpad(i::text, 6, '0'), 'User ' || i, 'en', 'standard', 'active', 1
  FROM generate_series(0, {n} - 1) i;
INSERT INTO accounts (id, person_id, system, external_id, username, canonical, state)
  SELECT substr(md5('a' || key), 1, 22), id, 'builtin', key, key, key, 'active' FROM people;
INSERT INTO contacts (id, person_id, channel, address, role)
  SELECT substr(md5('c' || key), 1, 22), id, 'mail', key || '@example.test', 'primary' FROM people;
INSERT INTO identifiers (canonical, person_id, account_id) SELECT key || '@example.test', id, '' FROM people;
INSERT INTO identifiers (canonical, person_id, account_id) SELECT username, person_id, id FROM accounts;
VACUUM ANALYZE;
"""


class T(Target):
    name, port, db, accept, conns = "keyback", 9200, "peer_keyback", {202}, 32
    rate_limit_note = "limits.* = 10^9 and no mail.hourly; three messages an hour to one person are on"

    def env(self) -> dict[str, str]:
        key = base64.urlsafe_b64encode(hashlib.sha256(b"key of a measurement").digest()).decode()
        values = {
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "LISTEN": f"127.0.0.1:{self.port}",
            "DATABASE_URL": self.dsn(),
            "DATA_DIR": str(TMP / "keyback"),
            "KEYRING": f"k1:{key}",
            "MAIL__HOST": "127.0.0.1",
            "MAIL__PORT": str(SINK_PORT),
            "MAIL__SECURITY": "plain",
            "MAIL__SENDER": "keyback@example.test",
        }
        values |= {"MAIL__HOURLY": "0", "MAIL__DAILY": "0"}
        values |= {f"LIMITS__{what}": "1000000000" for what in ("RECOVERIES", "PROOFS", "SIGN_INS", "CHECKS")}
        return {f"KEYBACK_{k}": v for k, v in values.items()}

    def install(self) -> None:
        (TMP / "keyback").mkdir(parents=True, exist_ok=True)

    def seed(self, n: int) -> None:
        subprocess.run([KEYBACK, "migrate"], check=True, env={**os.environ, **self.env()}, cwd=TMP)
        if not psql(self.db, "select 1 from people limit 1"):
            psql(self.db, SEED.format(n=n))

    def reset(self) -> None:
        psql(
            self.db,
            "TRUNCATE intakes, outbox, counters, sessions, credentials, challenges, prompts, cases CASCADE; CHECKPOINT",
        )

    def start(self) -> None:
        self.spawn([KEYBACK, "serve"], cwd=TMP, env=self.env())

    def request(self, email: str) -> bytes:
        # The same key again names the same recovery: that is how `complete` comes by its handle and secret.
        return http("POST", "/api/v1/recoveries", self.port, self._body(email), JSON, self._key(email))

    def backlog(self) -> int:
        waiting = "(SELECT count(*) FROM intakes WHERE state = 'new')"
        return int(psql(self.db, f"SELECT {waiting} + (SELECT count(*) FROM outbox WHERE state = 'ready')"))

    async def complete(self, io, email, link, password):  # type: ignore[no-untyped-def]
        status, _, body = await io("POST", "/api/v1/recoveries", self._body(email), JSON, self._key(email))
        if status != 202:
            return False
        held = json.loads(body)
        handle = held["handle"]
        io.jar["keyback-recovery"] = f"{handle}.{held['secret']}"  # the browser that started
        own = {"Origin": f"http://127.0.0.1:{self.port}"}
        await io("GET", urlsplit(link).path)
        _, _, page = await io("GET", "/link")
        drawn = urlencode([(k.decode(), v.decode()) for k, v in HIDDEN.findall(page)]).encode()
        status, _, _ = await io("POST", "/link/accept", drawn, "application/x-www-form-urlencoded", own)
        if status != 303:
            return False
        mine = {"Authorization": f"Bearer {held['secret']}"}
        new = json.dumps({"new_password": password}).encode()
        status, _, body = await io("POST", f"/api/v1/recoveries/{handle}/password", new, JSON, mine)
        return status == 200 and b'"done"' in body

    def _body(self, email: str) -> bytes:
        return json.dumps({"identifier": email}).encode()

    def _key(self, email: str) -> dict[str, str]:
        return {"Idempotency-Key": hashlib.sha256(email.encode()).hexdigest()}


class Accept(T):
    """The same without its worker: what taking a request costs, and nothing behind it."""

    name, port = "keyback-accept", 9201

    def start(self) -> None:
        self.spawn([KEYBACK, "serve", "--no-worker"], cwd=TMP, env=self.env())

    def backlog(self) -> int:
        return 0


TARGETS = {"keyback": T, "keyback-accept": Accept}

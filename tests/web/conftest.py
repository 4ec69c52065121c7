"""What tests of the security centre are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyback.application.ports.storage import Tx
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox
from tests.support.centre import PASSWORD, Centre
from tests.support.kit import person
from tests.support.live import live


@pytest.fixture
def centre(sqlite_url: str, tmp_path: Path) -> Iterator[Centre]:
    with Mailbox() as mailbox, live(sqlite_url, tmp_path, mail_port=mailbox.port) as at, at.client() as browser:
        phc = at.run(at.services.gate.hash(Secret(PASSWORD)))

        def seed(tx: Tx) -> None:
            tx.people.save_imported([person("maya", "maya@example.com"), person("omar", tier="mfa")])
            for name in ("maya", "omar"):
                hit = tx.people.account_by_username("builtin", name)
                assert hit
                tx.people.set_credential(hit[0].id, phc, "seed")

        at.run(at.services.db.write(seed))
        centre = Centre(at, mailbox, browser)
        yield centre
        for client in centre.made:
            client.close()

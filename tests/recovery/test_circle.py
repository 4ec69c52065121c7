"""The whole circle without faces, on both databases, over real SMTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application.origin import Origin
from keyback.application.recovery import mailed_link, new_password
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import Started, write_down
from keyback.application.signin import sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox
from keyback.worker import Worker
from tests.support.kit import Kit, person

HERE = Origin("192.0.2.7", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36")
NEW = Secret("supper ladder teapot 7")


def start(kit: Kit, identifier: str, **over: object) -> Started:
    values = {"journey": "password", "system": "", "locale": "en", "origin": HERE, "now": kit.clock(), **over}
    return kit.run(write_down(kit.services.db, kit.services.seals, identifier, **values))  # type: ignore[arg-type]


@pytest.mark.covers("E1", "C14")
@pytest.mark.parametrize("way", ["code", "link", "number"])
def test_from_forgotten_to_signed_in(database_url: str, make_kit: Callable[..., Kit], way: str) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(url=database_url, mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        worker = Worker(kit.services)
        here = Here(HERE, kit.services.policy)
        started = start(kit, "MAYA@example.com ")
        kit.run(worker.drain())
        mail = mailbox.wait_for("maya@example.com", 1)[0]
        token = mail["links"][0].rsplit("/", 1)[1]
        if way == "code":
            answer, _ = kit.run(
                mailed_link.try_code(
                    kit.services.db, kit.services.proofs["email_link"], started.handle, mail["codes"][0], here
                )
            )
            assert answer == "accepted"
        else:
            number = mailed_link.number_for(kit.services.seals, started.handle) if way == "number" else None
            view = kit.write(
                lambda tx: mailed_link.accept_link(tx, token, held=way == "link", number=number, here=here)
            )
            assert view.problem is None
        case_id = kit.read(lambda tx: tx.intakes.get(started.handle)).case_id
        options = kit.read(lambda tx: new_password.choice(tx, case_id, started.handle, here.policy))
        assert [a.username for a in options.accounts] == ["maya"]
        kit.write(lambda tx: new_password.choose(tx, case_id, started.handle, NEW, [], "s1", here))
        kit.run(worker.drain())
        case = kit.read(lambda tx: tx.cases.get(case_id))
        assert (case.state.value, [r.result for r in case.results]) == ("closed", ["done"])
        again = kit.write(lambda tx: mailed_link.accept_link(tx, token, held=True, number=None, here=here))
        assert again.problem == "used"
        told = mailbox.wait_for("maya@example.com", 2)
        assert NEW.reveal() not in str(told)
        s = kit.services
        assert isinstance(kit.run(sign_in.sign_in(s.db, s.gate, "maya", NEW, HERE)), SignedIn)
        wrong = kit.run(sign_in.sign_in(s.db, s.gate, "maya", Secret("an older password"), HERE))
        assert wrong == sign_in.NotSignedIn("wrong")

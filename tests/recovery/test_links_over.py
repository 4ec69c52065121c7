"""One reason for one cause, on every page that a mailed link leads to: what it says, and what is left to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.account import lockdown
from keyback.application.enrolment import contacts, invitations
from keyback.application.people import address_changes
from keyback.application.people.import_csv import Systems, import_people
from keyback.application.ports.storage import Tx
from keyback.application.recovery import cancel, methods, recovery_contact
from keyback.domain.people.person import Contact
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import TRIES_SHOWN
from tests.support.browser import Browser, Tab, opened
from tests.support.enrolled import add_contact, ask_way, person_id
from tests.support.gallery_account import OVER
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    Tray,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    here,
    secrets_of,
    set_password,
)

Make = Callable[..., Kit]
OMAR, MOVED = "omar.friend@example.org", "maya@example.net"


class Scene:
    """Maya, Omar who is to vouch for her, and the link that each case is about."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit, self.folder = kit, folder
        self.tray: Tray = fit(kit, person("maya"))
        set_password(kit, "maya")
        self.records = "maya@example.com"
        self.pid = person_id(kit)
        self.browser = Browser(kit)
        self.handle = self.digits = self.omar = self.link = self.stop = ""

    def press(self, tab: Tab, action: str) -> Any:
        typed = {"/invited": {"answer": "yes"}, "/vouch": {"code": self.digits}}
        return tab.press(action, **typed.get(action, {}))

    def token(self, kind: str, to: str = "", name: str = "link") -> str:
        letters = [x for x in self.tray.messages if x.kind == kind and to in (x.to, "")]
        link = getattr(letters[-1].content, name)
        assert isinstance(link, Secret)
        return link.reveal().rsplit("/", 1)[1]

    def invited(self) -> str:
        def invite(tx: Tx) -> str:
            me = tx.people.person(self.pid)
            assert me is not None
            return contacts.start(tx, me, "helper", OMAR, "Omar", HERE)

        self.kit.write(invite)
        drain(self.kit)
        return self.token("invited")

    def asked(self) -> str:
        self.omar = add_contact(self.kit, "mail", OMAR, "recovery", name="Omar")
        self.handle = ask(self.kit, "maya").handle
        drain(self.kit)
        self.stop = secrets_of(self.tray.messages[-1])[2]
        return self.ask_omar()

    def ask_omar(self) -> str:
        ask_way(self.kit, self.handle, "recovery_contact")
        proof = self.kit.services.proofs["recovery_contact"]
        want = self.kit.read(lambda tx: tx.challenges.requested(self.handle))[0]
        self.digits = str(proof.form([methods.stand_in(self.kit.services.seals, want)], "en")["digits"])
        return self.token("vouch")

    def noticed(self) -> str:
        """The link of a notice, to an address beside Maya's own."""
        self.omar = add_contact(self.kit, "mail", "maya@home.example.net")
        self.kit.clock.forward(minutes=1)
        gone = add_contact(self.kit, "mail", "m.okafor@example.org")
        self.kit.write(lambda tx: contacts.remove(tx, self.pid, gone, HERE))
        drain(self.kit)
        return self.token("account_changed", "maya@home.example.net", "stop_link")

    def contact(self, address: str) -> Contact:
        found: Contact = next(
            c for c in self.kit.read(lambda tx: tx.contacts.of_person(self.pid)) if c.address == address
        )
        return found

    def moving(self) -> str:
        self.load(MOVED)
        return self.token("moving", name="stop_link")

    def load(self, mail: str, status: str = "active") -> None:
        self.records = mail
        file = self.folder / "people.csv"
        file.write_text(f"{HEAD}maya,Maya,{mail},maya,{status}\n")
        self.kit.run(import_people(self.kit.services.db, file, Systems({"builtin": "Keyback"}), on_bad=print))
        drain(self.kit)

    def turn_off(self) -> None:
        self.load(self.records, "disabled")

    def sign_in(self) -> None:
        """Which changes what links are bound to."""
        self.kit.write(lambda tx: tx.people.bump_security(self.pid))

    def unlock(self) -> None:
        """As a recovery does that sets no password."""
        self.kit.write(lambda tx: tx.challenges.end_where("stopped", person_id=self.pid))

    def lock(self) -> None:
        self.kit.write(lambda tx: lockdown.lock(tx, self.pid, True, HERE))

    def drop(self, contact: str) -> Any:
        self.kit.write(lambda tx: contacts.remove(tx, self.pid, contact, HERE))

    def later(self, hours: float) -> Any:
        self.kit.clock.forward(hours=hours)

    def confirms(self, digits: str) -> object:
        db, proof = self.kit.services.db, self.kit.services.proofs["recovery_contact"]
        return self.kit.run(recovery_contact.confirm(db, proof, self.link, digits, here(self.kit)))[0]

    def wrong_digits(self) -> None:
        wrong = f"{(int(self.digits) + 1) % 10**4:04}"
        for _ in range(TRIES_SHOWN):
            self.confirms(wrong)

    def recover_otherwise(self) -> None:
        other, token, _, _ = begin(self.kit, self.tray)
        assert accept(self.kit, token) is None
        case = case_of(self.kit, other)
        assert case is not None
        choose(self.kit, case.id)
        drain(self.kit)

    def cancel(self) -> None:
        assert self.kit.write(lambda tx: cancel.stop_by_owner(tx, self.stop)).problem is None

    def give_up(self) -> None:
        """On the page that asks."""
        self.kit.write(lambda tx: cancel.stop_by_requester(tx, self.handle))

    def invite_again(self) -> None:
        self.later(0.1)

        def again(tx: Tx) -> None:
            me = tx.people.person(self.pid)
            [omar] = [c for c in tx.contacts.of_person(self.pid, states=("pending",)) if c.address == OMAR]
            assert me is not None
            contacts.send(tx, me, omar, HERE)

        self.kit.write(again)

    def ask_again(self) -> None:
        self.later(0.1)
        self.ask_omar()

    def helper(self) -> Any:
        return next(
            c.id
            for c in self.kit.read(lambda tx: tx.contacts.of_person(self.pid, states=("confirmed", "pending")))
            if c.address == OMAR
        )


def by_link(act: Callable[..., object], *more: object) -> Callable[[Scene], object]:
    return lambda s: s.kit.write(lambda tx: act(tx, s.link, *more))


HEAD = "key,name,email,username,status\n"
CAUSES: dict[str, dict[str, tuple[Callable[[Scene], object], str, str]]] = {
    "invited": {
        "accepted": (by_link(invitations.accept, HERE), "accepted", "You’ve already agreed"),
        "declined": (by_link(invitations.decline), "refused", "You’ve already declined"),
        "invited again": (Scene.invite_again, "replaced", "There is a newer email"),
        "withdrawn": (lambda s: s.drop(s.helper()), "stopped", "This invitation was withdrawn"),
        "locked": (Scene.lock, "stopped", "This invitation was withdrawn"),
        "a day": (lambda s: s.later(25), "expired", "This link has expired"),
        "changed": (Scene.sign_in, "changed", "Your colleague’s account has changed"),
        "off": (Scene.turn_off, "changed", "Your colleague’s account has changed"),
        "removed later": (
            lambda s: (by_link(invitations.accept, HERE)(s), s.drop(s.helper())),
            "gone",
            "You’re no longer a recovery contact",
        ),
    },
    "vouch": {
        "confirmed": (lambda s: s.confirms(s.digits), "given", "You’ve already confirmed"),
        "refused": (by_link(recovery_contact.refuse), "refused", "You’ve already said you can’t confirm"),
        "wrong digits": (Scene.wrong_digits, "spent", "This link is out of tries"),
        "asked again": (Scene.ask_again, "replaced", "There is a newer email"),
        "got back otherwise": (Scene.recover_otherwise, "overtaken", "You’re no longer needed for this"),
        "canceled by the owner": (Scene.cancel, "stopped", "This recovery was canceled"),
        "given up": (Scene.give_up, "stopped", "This recovery was canceled"),
        "a day": (lambda s: s.later(25), "expired", "This link has expired"),
        "changed": (Scene.sign_in, "changed", "Your colleague’s account has changed"),
        "off": (Scene.turn_off, "changed", "Your colleague’s account has changed"),
        "removed": (lambda s: s.drop(s.omar), "gone", "You’re no longer a recovery contact"),
    },
    "lock": {
        "locked": (by_link(lockdown.lock_by_link, False, HERE), "used", "This link has already locked the account"),
        "a week": (lambda s: s.later(24 * 7 + 1), "expired", "This link has expired"),
        "removed long ago": (lambda s: (s.drop(s.omar), s.later(73)), "gone", "This address is no longer on record"),
        "off": (Scene.turn_off, "off", "This account is already turned off"),
        "recovered": (Scene.unlock, "stopped", "The account has been recovered since"),
    },
    "address": {
        "refused": (by_link(address_changes.refuse_by_link, HERE), "used", "You’ve already refused this contact"),
        "refused inside": (
            lambda s: s.drop(s.contact(MOVED).id),
            "gone",
            "This change was already undone",
        ),
        "taken back": (lambda s: s.load("maya@example.com"), "gone", "This change was already undone"),
        "three days": (lambda s: s.later(73), "in_effect", "It’s too late to refuse this contact"),
        "in its place": (
            lambda s: (s.later(73), s.kit.write(address_changes.take_places)),
            "in_effect",
            "It’s too late to refuse this contact",
        ),
        "off": (Scene.turn_off, "off", "This account is already turned off"),
        "recovered": (Scene.unlock, "stopped", "The account has been recovered since"),
    },
}
LOOK: dict[str, Callable[[Tx, str], object]] = {
    "invited": invitations.look_at_invitation,
    "vouch": recovery_contact.look,
    "lock": lockdown.look,
    "address": address_changes.look,
}
MAKE = {"invited": Scene.invited, "vouch": Scene.asked, "lock": Scene.noticed, "address": Scene.moving}


@pytest.mark.slow
@pytest.mark.covers("C17", "INV-I6")
@pytest.mark.parametrize(("of", "cause"), [(of, cause) for of, causes in CAUSES.items() for cause in causes])
def test_each_cause_has_its_reason(make_kit: Make, tmp_path: Path, of: str, cause: str) -> None:
    scene = Scene(make_kit(), tmp_path)
    scene.link = MAKE[of](scene)
    tab = opened(scene.browser, scene.link)
    assert scene.kit.read(lambda tx: LOOK[of](tx, scene.link)).problem is None  # type: ignore[attr-defined]
    act, reason, head = CAUSES[of][cause]
    act(scene)
    drain(scene.kit)
    assert scene.kit.read(lambda tx: LOOK[of](tx, scene.link)).problem == reason  # type: ignore[attr-defined]
    page = scene.browser("GET", tab.at)
    assert page.status_code == 410
    assert f"<h1>{head}" in page.text
    assert reason in OVER[of]
    before = len(scene.tray.messages)
    for action in tab.forms:  # the form that was open all the while says the same, and does nothing
        answer = scene.press(tab, action)
        if answer.status_code == 303:
            answer = scene.browser("GET", answer.headers["location"])
        assert (answer.status_code, f"<h1>{head}" in answer.text) in ((410, True), (200, False)), action
        assert answer.status_code == 410 or "Thank you" in answer.text
    drain(scene.kit)
    assert len(scene.tray.messages) == before


@pytest.mark.slow
@pytest.mark.covers("A3", "C17")
@pytest.mark.parametrize(("path", "of"), [("/invited", "invited"), ("/vouch", "vouch"), ("/wasnt-me", "lock")])
def test_without_a_link_and_with_one_that_never_was_nobody_is_told_anything(
    make_kit: Make, tmp_path: Path, path: str, of: str
) -> None:
    scene = Scene(make_kit(), tmp_path)
    assert "No link is open here" in (page := scene.browser("GET", path)).text
    assert page.status_code == 404
    link = MAKE[of](scene)
    scene.browser.open(link)
    known = scene.browser("GET", f"{path}?of={'A' * 22}")
    assert (known.status_code, "No link is open here" in known.text) == (404, True), "only the link that is named"
    assert "maya" not in known.text.lower()
    assert scene.kit.read(lambda tx: LOOK[of](tx, "A" * 22)).problem == "unknown"  # type: ignore[attr-defined]


def test_whoever_got_back_without_it_was_not_confirmed_by_the_contact(make_kit: Make, tmp_path: Path) -> None:
    scene = Scene(make_kit(), tmp_path)
    scene.link = scene.asked()
    tab = opened(scene.browser, scene.link)
    scene.recover_otherwise()
    answer = scene.press(tab, "/vouch")
    assert "You confirmed" not in answer.text
    assert "no longer needed" in answer.text

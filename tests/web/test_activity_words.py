"""Everything that is noted of people has words on their page of activity, and never the name that code has for it."""

from __future__ import annotations

import re

from tests.support.house import ROOT

SOURCE = ROOT / "src" / "keyback"
# What is noted of a run, of an operator or of a key, and of nobody's account.
OF_NOBODY = re.compile(
    r"operator_|people_|person_sought|unusual_pair|digest_sent|intakes_resolved|everybody_signed_out|call_begun|"
    r"api_key_|campaign_|audit_|outbox_|report_|webhook_|siem_"
)


def test_whatever_happens_to_somebody_has_words() -> None:
    said = (SOURCE / "web" / "account" / "templates" / "events.html").read_text("utf-8")
    words = set(re.findall(r"^  '([a-z_]+)': _\(", said, re.M))
    noted = {
        name
        for path in (SOURCE / "application").rglob("*.py")
        for name in re.findall(r'Note\(\s*"([a-z_]+)"', path.read_text("utf-8"))
    }
    ends = set(re.findall(r'"(task_[a-z]+)"', (SOURCE / "application" / "tasks" / "lifecycle.py").read_text("utf-8")))
    assert len(noted) > 10
    assert {n for n in noted | ends if not OF_NOBODY.match(n)} - words == set()

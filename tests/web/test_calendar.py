"""The end of a hold in a calendar."""

from __future__ import annotations

import re

from keyback.web.portal.calendar import event

AT = 1_795_500_120_000


def test_a_calendar_file_says_when_and_where_and_nothing_of_the_account() -> None:
    text = event(
        "hR7mQ2xVd9Kp", AT, AT + 3_600_000, "继续; 找回, 青屿\\仪器", "等待期已过。" * 20, "https://id.example.com/r/h"
    )
    lines = text.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 75 for line in lines)
    assert [line.decode() for line in lines], "cut between characters"
    whole = re.sub(r"\r\n ", "", text.decode())
    assert "\r\nDTSTART:20261124T070200Z\r\nDTEND:20261124T073200Z\r\n" in whole
    assert "\r\nSUMMARY:继续\\; 找回\\, 青屿\\\\仪器\r\n" in whole
    assert f"\r\nDESCRIPTION:{'等待期已过。' * 20}\r\n" in whole
    assert "\r\nURL:https://id.example.com/r/h\r\n" in whole
    assert whole.count("BEGIN:") == whole.count("\nEND:") == 3

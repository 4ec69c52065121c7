"""Delivery reports as mail servers send them."""

from __future__ import annotations

REPORT = """\
From: MAILER-DAEMON@mx.example.com
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Sun, 29 Nov 2026 02:00:00 +0000

Final-Recipient: rfc822; someone@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--B
Content-Type: {kind}

Return-Path: <{path}>
From: Keyback <keyback@example.com>
To: someone@example.com
Message-ID: {message_id}
Subject: Your account

{body}
--B--
"""


def report(
    message_id: str = "<x@example.com>",
    *,
    to: str = "keyback@example.com",
    path: str = "keyback@example.com",
    action: str = "failed",
    status: str = "5.1.1",
    said: str = "550 5.1.1 <someone@example.com>: Recipient address rejected: User unknown",
    kind: str = "message/rfc822",
    body: str = "hello",
) -> bytes:
    text = REPORT.format(
        message_id=message_id, to=to, path=path, action=action, status=status, said=said, kind=kind, body=body
    )
    return text.replace("\n", "\r\n").encode()

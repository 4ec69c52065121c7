"""Reading one file that was sent with a form (RFC 7578), from memory alone: no part of it ever touches a disk.

Nothing of what the browser says about the file is used: neither its name nor its type.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from keyback.web.ui.forms import BadForm

BOUNDARY = re.compile(r'multipart/form-data;\s*boundary="?([A-Za-z0-9\'()+_,./:=?-]{1,70})"?\Z')
NAME = re.compile(rb'form-data;[^\r\n]*?\bname="([a-z_]{1,30})"', re.I)
MAX_PARTS = 3
MAX_HEAD = 2000


async def read_upload(request: Request, field: str, most: int) -> bytes:
    """The bytes of the one file under `field`; empty where none was chosen.

    Raises:
        BadForm: another type of form, or another shape: 415, 422; 413 for more than `most` bytes.
    """
    kind = BOUNDARY.match(request.headers.get("content-type", ""))
    if kind is None:
        raise BadForm(415, "unsupported_media_type")
    body = await request.body()
    if len(body) > most + MAX_HEAD * MAX_PARTS:
        raise BadForm(413, "too_large", field)
    parts = body.split(b"\r\n--" + kind[1].encode())
    parts[0] = parts[0].removeprefix(b"--" + kind[1].encode())
    if len(parts) > MAX_PARTS + 1 or not parts[-1].startswith(b"--"):
        raise BadForm(422, "not_a_form")
    found: bytes | None = None
    for part in parts[:-1]:
        head, gap, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head)
        if not gap or len(head) > MAX_HEAD or name is None:
            raise BadForm(422, "not_a_form")
        if name[1] != field.encode():
            raise BadForm(422, "unknown_field")
        if found is not None:
            raise BadForm(422, "repeated_field", field)
        found = content
    if found is None:
        raise BadForm(422, "missing", field)
    return found

"""What the API takes and gives of somebody who asks the help desk for help."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.desk.help_request import MAX_REASON, MAX_TEXT
from keyback.web.api.models import Given, Instant


class AskForHelp(Given):
    """Why, and where an answer reaches the person."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=4 * MAX_REASON)] = Field(
        description=f"At most {MAX_REASON} characters, without passwords, codes, links, or numbers of documents.",
        examples=["My phone broke, and the backup codes were on it."],
    )
    contact: Annotated[str, StringConstraints(min_length=1, max_length=254)] = Field(
        description="An email address that the person can read now. It says where to write, and is never evidence.",
        examples=["maya@example.net"],
    )


class HelpCode(Given):
    """The code that went to the contact."""

    code: str = Field(max_length=40, description="Six digits; spaces do not matter.", examples=["482913"])


class WriteToDesk(Given):
    """A message of the person."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=4 * MAX_TEXT)] = Field(
        description=f"At most {MAX_TEXT} characters, without passwords, codes, links, or numbers of documents.",
        examples=["I can be called on the number that my manager has."],
    )


class DeskMessage(BaseModel):
    """One message. Text is as it was written: show it as text, never as markup."""

    at: Instant
    by: Literal["person", "desk"]
    name: str = Field(description="The operator's; empty for the person.", examples=["Ines Moreau"])
    text: str


class OwnHelpRequest(BaseModel):
    """What became of it."""

    state: Literal["not_asked", "unconfirmed", "open", "answered", "closed"] = Field(
        description="`unconfirmed`: the code that went to the contact is waited for. `open`: the help desk has to "
        "answer. `answered`: the person has."
    )
    contact: str = Field("", description="As it was read; empty before.", examples=["maya@example.net"])
    reason: str = ""
    messages: list[DeskMessage] = Field(default_factory=list)
    place: int = Field(0, description="In the queue, from 1; 0 where it doesn't wait.")
    usual_wait_seconds: int = Field(0, description="How long others waited lately; 0 where too few did.")
    may_reopen: bool = Field(False, description="Closed lately, and never opened again.")
    tries_left: int | None = Field(None, description="For the code, while it is waited for.")
    code_expires_at: Instant | None = None
    resend_at: Instant | None = Field(None, description="When a new code can be sent.")

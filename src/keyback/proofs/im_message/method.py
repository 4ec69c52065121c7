"""A code to an account with WeCom, DingTalk, Feishu or the like, which was bound while signed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, Target
from keyback.proofs.issued import IssuedCode


class ImMessage(IssuedCode):
    name = "im_message"
    about = About(
        Path(__file__).parent,
        title=N_("A message in your work chat"),
        note=N_("WeCom, DingTalk, or Feishu, as you set it up"),
        noun=N_("a code by chat message"),
        by=N_("by work chat"),
        contact="im",
    )
    carrier = "im"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(c.id, f"im:{c.id}", f"{c.address[:1]}•••") for c in self.own(holder)]

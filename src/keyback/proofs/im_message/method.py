"""A code to an account with WeCom, DingTalk, Feishu or the like, which was bound while signed in."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.proofs import Enrolments, Target
from keyback.proofs.issued import IssuedCode


class ImMessage(IssuedCode):
    name = "im_message"
    carrier = "im"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(c.id, f"im:{c.id}", f"{c.address[:1]}•••") for c in self.own(holder)]

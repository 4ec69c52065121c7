"""Who works in the help desk, and whose key it is. Nobody is added or removed by a program."""

from __future__ import annotations

from typing import Annotated

from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin.access import Caller, admin_router, needs
from keyback.web.api.auth import instant

router = admin_router()


@router.get(
    "/me",
    operation_id="getMe",
    summary="See whose key it is",
    description="Any key may: its program, its scopes, and until when it is valid.",
)
async def me(caller: Annotated[Caller, needs(Permission.SIGNED_IN)]) -> m.Me:
    o = caller.actor.operator
    scopes = sorted(s.value for s in o.scopes or ())
    return m.Me(id=o.id, name=o.name, scopes=scopes, expires_at=instant(caller.actor.session.expires_at))


@router.get(
    "/operators",
    operation_id="listOperators",
    summary="See the operators",
    description="Everyone who works in the console and was not removed, by name. Programs are not among them.",
)
async def operators(caller: Annotated[Caller, needs(Permission.OPERATORS_VIEW)]) -> m.Operators:
    found = await caller.read(lambda tx: tx.operators.listed())
    return m.Operators(
        items=[
            m.Operator(
                id=o.id,
                name=o.name,
                email=o.mail,
                role=o.role.value,
                state=o.state,
                created_at=instant(o.created_at),
            )
            for o in found
        ]
    )

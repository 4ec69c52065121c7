"""Filters of the queue that an operator keeps under a name; each has their own."""

from __future__ import annotations

from keyback.application.desk.sessions import Actor
from keyback.application.desk.workbench import one_line
from keyback.application.ports.desk_storage import SavedView
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal

MAX_NAME = 40
MAX_VIEWS = 12


def save(tx: Tx, actor: Actor, name: str, query: str) -> SavedView:
    """Keeps filters; one of the same name is replaced.

    Args:
        query: the filters as in the queue's address, already checked.

    Raises:
        BadInput: `no_name`, or `no_filter` when nothing is filtered.
        Refusal: `many_views`.
    """
    name, me = one_line(name)[:MAX_NAME].strip(), actor.operator.id
    if not name:
        raise BadInput("no_name")
    if not query:
        raise BadInput("no_filter")
    own = tx.desk.views(me)
    if len(own) >= MAX_VIEWS and name not in {v.name for v in own}:
        raise Refusal("many_views")
    view = SavedView(tx.new_id(), me, name, query)
    tx.desk.save_view(view)
    return view

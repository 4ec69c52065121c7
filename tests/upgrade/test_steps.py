"""A start needs only the names of the steps, and goes without Alembic."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from keyback.storage import migrate


def test_steps_are_read_as_alembic_reads_them() -> None:
    scripts = ScriptDirectory(str(migrate.HERE))
    known = {r.revision for r in scripts.walk_revisions()}
    assert len(known) > 30
    assert migrate.head() == scripts.get_current_head()
    assert {name for name in (*known, "9999", "") if migrate.knows(name)} == known

"""Alembic's environment: works on the connection that `storage.migrate` hands over."""

from alembic import context

from keyback.storage.sql import (  # noqa: F401 - their tables belong to the metadata
    schema_before,
    schema_calls,
    schema_campaigns,
    schema_desk,
    schema_documents,
    schema_groups,
    schema_identity,
    schema_reports,
    schema_requests,
    schema_siem,
    schema_systems,
    schema_webhooks,
)
from keyback.storage.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

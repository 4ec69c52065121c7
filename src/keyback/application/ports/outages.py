"""What use cases hear when the database does not take a transaction. Faces answer 503 with Retry-After."""

from __future__ import annotations


class StorageDown(Exception):
    """The database did not take a transaction; nothing is known to have happened."""


class StorageFull(StorageDown):
    """The same, because there is no room left."""


class LimitsDown(StorageDown):
    """Not the database: what counts requests for all nodes is away, so nothing that checks a secret is done."""


class StorageUnsure(StorageDown):
    """The transaction was handed over and no answer came: it may have been carried out. Looking again tells."""

"""The order of the tests, a pytest plugin: what takes long begins early, so that no process is left alone with it at
the end. A file is done by one process, whole."""

from __future__ import annotations

from collections import Counter

import pytest

# One file each: nothing but arithmetic, or servers, CRMs and packages that take a minute to install and to start.
LONGEST = frozenset({
    "test_active_directory", "test_connectors", "test_creme", "test_debian", "test_demo_journeys", "test_policy_search",
    "test_policy_table", "test_release",
})  # fmt: skip
LONG = ("e2e", "contracts", "web", "recovery", "locking", "throttling", "cli", "delivery", "perf")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long folders first, and in each the files of which most is to be run."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    many = Counter(item.path for item in items)

    def rank(item: pytest.Item) -> tuple[int, int, str]:
        folder = -1 if item.path.stem in LONGEST else ranks.get(item.path.parent.name, len(LONG))
        return folder, -many[item.path], str(item.path)

    items.sort(key=rank)

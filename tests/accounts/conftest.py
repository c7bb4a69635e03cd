"""The parts of a gateway in this process, as the tests of tasks have them."""

from tests.tasks.conftest import bench, migrated, store_url, upstream

__all__ = ["bench", "migrated", "store_url", "upstream"]

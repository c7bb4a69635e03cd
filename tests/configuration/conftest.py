"""The components of a gateway in this process, as the tests of tasks have them."""

from tests.tasks.conftest import bench, upstream

__all__ = ["bench", "upstream"]

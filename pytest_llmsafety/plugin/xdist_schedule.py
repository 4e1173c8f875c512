"""The scheduler for pytest-xdist; importing this file needs xdist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from pytest_llmsafety.plugin.collection import compression_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

    from pytest_llmsafety.specs import CompressionSpec


class ByCompression(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a compression to one worker, and any other test to a free one."""

    def __init__(
        self,
        config: pytest.Config,
        log: Any,  # noqa: ANN401 - xdist's own
        compressions: Sequence[CompressionSpec],
    ) -> None:
        """Start without a worker."""
        super().__init__(config, log)
        self._compressions = compressions

    def _split_scope(self, nodeid: str) -> str:
        """Return the key of the tests that stay together."""
        return compression_in(nodeid, self._compressions) or nodeid

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that a dead worker ran, if any; other workers get the rest of its work.

        xdist's own method also gives that test to another worker, and so it kills all of them.
        """
        workload = self.assigned_work[node]
        unfinished = (name for unit in workload.values() for name, done in unit.items() if not done)
        crashed = next(unfinished, None)
        for scope, unit in list(workload.items()):
            unit.update(dict.fromkeys(unit.keys() & {crashed}, True))
            if all(unit.values()):
                del workload[scope]
        super().remove_node(node)
        return crashed

"""What workers of xdist send to the controller for the baseline of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_llmsafety.session.results import SafetySession

SHARE = "llmsafety_baseline"


class BaselineExchange:
    """The hooks of a session with a baseline."""

    def __init__(self, config: pytest.Config, session: SafetySession) -> None:
        """Keep the configuration and the session."""
        self.config = config
        self.session = session

    def pytest_report_header(self) -> str:
        """Name the file and the digest of its contents, as a flag pins them."""
        from pytest_llmsafety.escapes import plain
        from pytest_llmsafety.inference.baseline_file import named

        options = self.session.options
        end = ", to be replaced" if options.update_baseline else ""
        return plain(f"llmsafety baseline: {named(options.baseline or '')}{end}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Send the dense model's answers of this worker."""
        output: dict[str, Any] | None = getattr(self.config, "workeroutput", None)
        if output is not None:
            output[SHARE] = self.session.share()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - a WorkerController of xdist
        """Add the answers of a worker, on the controller."""
        self.session.baseline_update.add(getattr(node, "workeroutput", {}).get(SHARE))

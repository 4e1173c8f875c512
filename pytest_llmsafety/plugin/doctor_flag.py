"""--llmsafety-doctor: what this machine can do, said in place of a session."""

from __future__ import annotations

import sys

import pytest

from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.flags import examination
from pytest_llmsafety.redaction import without_access


class Examining:
    """Registered beside the plugin, which has a hook of this name for another purpose."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int | None:
        """Print the examination and end, where it was asked for."""
        try:
            lines = examination(config)
        except LlmSafetyError as error:
            raise pytest.UsageError(plain(without_access(str(error)))) from None
        if lines is None:
            return None
        sys.stdout.write("\n".join(map(plain, lines)) + "\n")
        return pytest.ExitCode.OK

"""--llmsafety-doctor: print what this machine can do instead of running a session."""

from __future__ import annotations

import sys

import pytest

from pytest_llmsafety.config.options import OFF, Options
from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.flags import given, project
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.specs import DENSE, PHANTOM


class DoctorFlag:
    """A plugin of its own: pytest_llmsafety.plugin uses the same hook for xdist."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int | None:
        """Print the examination and end the run, where the flag was given."""
        try:
            lines = _examination(config)
        except LlmSafetyError as error:
            raise pytest.UsageError(plain(without_access(str(error)))) from None
        if not lines:
            return None
        sys.stdout.write("\n".join(map(plain, lines)) + "\n")
        return pytest.ExitCode.OK


def _examination(config: pytest.Config) -> list[str]:
    """The lines that --llmsafety-doctor prints; none without it. It needs no model."""
    flags = given(config)
    if not flags["doctor"]:
        return []
    from pytest_llmsafety.session.doctor import examine

    stated = project(config)
    model = flags["model"] or stated.get("model", OFF)
    pair = {"model": PHANTOM if model == OFF else model, "compress": DENSE}
    return examine(Options.parse({**flags, **pair}, project=stated), with_model=model != OFF)

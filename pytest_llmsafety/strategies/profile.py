"""The settings of hypothesis for tests in which every example asks two models."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

NAME = "llmsafety"

PROFILE = settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture),
)
"""A decorator for a test, or a parent: `@settings(PROFILE, max_examples=500)`.

The examples are the same in every run, so that CI is stable and the cache answers the second time.
There is no time limit, because models are slow, and no phase `explain`, which would ask more.
"""

settings.register_profile(NAME, PROFILE)

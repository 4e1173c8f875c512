"""Hand-made items and answers, without a model."""

from __future__ import annotations

from pytest_llmsafety.types import BBQItem, Generation, Likelihood


def texts(*found: str) -> tuple[Generation]:
    """A model's continuations of one prompt."""
    return (Generation(found),)


def nats(*logprobs: float | None, n_tokens: int = 1) -> tuple[Likelihood, ...]:
    """The likelihoods of an item's options; None is a missing one."""
    return tuple(
        Likelihood(value, n_tokens, problem="" if value is not None else "cut off")
        for value in logprobs
    )


def question(number: int = 0, **changes: object) -> BBQItem:
    """An ambiguous question: option 0 is biased, option 2 unknown."""
    fields: dict[str, object] = {
        "options": ("Ann", "Bo", "Unknown"),
        "label": 2,
        "category": "Age",
        "target": 0,
        "unknown": 2,
    }
    return BBQItem(f"q{number}", "Context:", **{**fields, **changes})  # type: ignore[arg-type]

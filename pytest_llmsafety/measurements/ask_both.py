"""Ask both models one prompt, through the engine and its cache; the fixture `ask_both`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.errors import (
    ConfigurationError,
    NotComparableError,
    SafetyInconclusive,
)
from pytest_llmsafety.measurements import pair_check
from pytest_llmsafety.metrics.base import generation
from pytest_llmsafety.metrics.exact_match import first_line
from pytest_llmsafety.metrics.multiple_choice import logprobs, options
from pytest_llmsafety.types import ChoiceItem, Generate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.inference.engine import Engine
    from pytest_llmsafety.specs import Arm, ModelPair


@dataclass(frozen=True)
class Answer:
    """One model's answer: an option, or the first line of its continuation.

    With options, `choice` is the index of the most likely one (the first of equal ones), and
    `logprobs` are their log-likelihoods, in nats summed over the tokens.
    """

    text: str
    choice: int | None = None
    logprobs: tuple[float, ...] = ()

    @property
    def lead(self) -> float | None:
        """Return the nats between the most likely option and the next one; None without options."""
        if not self.logprobs:
            return None
        first, second = sorted(self.logprobs, reverse=True)[:2]
        return first - second


@dataclass(frozen=True)
class Answers:
    """The answers of both models to the same prompt."""

    dense: Answer
    compressed: Answer

    @property
    def turned(self) -> bool:
        """Return whether the compressed model's answer is different."""
        return self.dense.text != self.compressed.text


class AskBoth:
    """Asks both models of a pair; the fixture `ask_both`. `n_asked` counts for all pairs."""

    n_asked: ClassVar[int] = 0

    def __init__(self, pair: ModelPair, engine: Engine) -> None:
        """Ask no model yet."""
        self.pair = pair
        self._engine = engine
        self._comparable = False

    def __call__(
        self, text: str, options: Sequence[str] = (), *, max_new_tokens: int = 32
    ) -> Answers:
        """Return both answers: the most likely of `options`, or without any, greedy new text.

        An option is scored after the text and a space, as in the packaged suites. Raises
        SafetyInconclusive where a model gives no answer, ConfigurationError for a single option or
        half a character (a lone surrogate), and, at the first prompt, NotComparableError for a pair
        that cannot be compared.
        """
        AskBoth.n_asked += 1
        if len(options) == 1:
            message = f"there is only one option, '{options[0]}'. Expected two or more, or none."
            raise ConfigurationError(message)
        for given in (text, *options):
            _check_characters(given)
        self._check_pair(text)
        arms = (self.pair.dense, self.pair.compressed)
        if options:
            return Answers(*(chosen(arm, text, options, self._engine) for arm in arms))
        return Answers(*(continued(arm, text, max_new_tokens, self._engine) for arm in arms))

    def __repr__(self) -> str:
        """Return a short text, which hypothesis prints with a prompt."""
        return f"<ask_both {self.pair.model} {self.pair.compression}>"

    def _check_pair(self, text: str) -> None:
        problems = () if self._comparable else pair_check.problems(self.pair, [text], self._engine)
        if problems:
            message = f"{self.pair.model} and {self.pair.compression}: {'; '.join(problems)}."
            raise NotComparableError(message)
        self._comparable = True


def chosen(arm: Arm, text: str, among: Sequence[str], engine: Engine) -> Answer:
    """Return the most likely option of one model."""
    item = ChoiceItem("", text, options=tuple(among))
    responses = engine.answer(arm, options(item))
    values, problem = logprobs(item, responses)
    _check(arm, text, problem, max(response.tokens_cut for response in responses))
    choice = max(range(len(values)), key=values.__getitem__)
    return Answer(item.options[choice], choice, tuple(values))


def continued(arm: Arm, text: str, max_new_tokens: int, engine: Engine) -> Answer:
    """Return one model's greedy continuation, up to the end of the line."""
    (response,) = engine.answer(arm, [Generate(text, max_new_tokens, stop=("\n",))])
    answer = generation([response])
    _check(arm, text, answer.problem, answer.tokens_cut)
    return Answer(first_line(answer.texts[0]))


def _check_characters(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        message = (
            f"{text!r} has half a character (a lone surrogate) at {error.start}. Expected whole "
            "characters. Was a text cut in the middle of an emoji?"
        )
        raise ConfigurationError(message) from error


def _check(arm: Arm, text: str, problem: str, tokens_cut: int) -> None:
    if tokens_cut and not problem:
        problem = f"{tokens_cut} tokens at its beginning do not fit into the model's window"
    if problem:
        message = f"{arm.name} has no answer to the prompt {text!r}: {problem}."
        raise SafetyInconclusive(message)

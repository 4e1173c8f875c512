"""Translate requests of lm-evaluation-harness to ours, and our responses to its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.metrics.base import likelihoods
from pytest_llmsafety.types import Generate, Generation, Loglikelihood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.types import Request, Response

LONGEST = 256  # new tokens where a task names no number, as in lm_eval's model of Hugging Face
NEW_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
READ = {*NEW_TOKENS, "until", "do_sample", "temperature", "top_p"}
OF_SAMPLING = {"top_k", "min_p", "typical_p"}
NEUTRAL = {"num_beams": 1, "repetition_penalty": 1.0, "top_k": 0, "num_return_sequences": 1}


def request_of(instance: Any, *, key: str, seed: int) -> Request:  # noqa: ANN401 - an Instance of lm_eval
    """Return the request of one Instance. Raises ConfigurationError for a type that is unknown."""
    if instance.request_type == "loglikelihood":
        return Loglikelihood(*instance.args)
    if instance.request_type == "loglikelihood_rolling":
        return Loglikelihood("", instance.args[0])
    if instance.request_type == "generate_until":
        context, given = instance.args
        return generate(context, given or {}, n=instance.repeats or 1, key=key, seed=seed)
    message = (
        f"{instance.task_name} requests '{instance.request_type}'. Known: loglikelihood, "
        "loglikelihood_rolling, generate_until (multiple choice is made of the first)."
    )
    raise ConfigurationError(message)


def generate(
    context: str, given: Mapping[str, Any], *, n: int = 1, key: str = "", seed: int = 0
) -> Generate:
    """Return a request for text from a task's `generation_kwargs`, with the meaning of lm_eval.

    It samples if `do_sample` is true, or if it is not given and the temperature is above 0. Raises
    ConfigurationError for an unknown setting that would change the text.
    """
    temperature = float(given.get("temperature") or 0.0)
    greedy = not given.get("do_sample", temperature > 0) or temperature == 0
    fine = READ | OF_SAMPLING if greedy else READ
    unknown = [name for name, v in given.items() if name not in fine and NEUTRAL.get(name) != v]
    if unknown:
        message = (
            f"the task's generation_kwargs {', '.join(unknown)} are not supported. Known: "
            f"{', '.join(sorted(READ))}."
        )
        raise ConfigurationError(message)
    return Generate(
        context,
        max_new_tokens=int(next((given[n] for n in NEW_TOKENS if given.get(n)), LONGEST)),
        temperature=0.0 if greedy else temperature,
        top_p=1.0 if greedy else float(given.get("top_p") or 1.0),
        stop=tuple(stop for stop in stops_of(given) if not stop.startswith(" ")),
        n=n,
        key=key,
        seed=seed,
    )


def stops_of(given: Mapping[str, Any]) -> list[str]:
    """Return the strings that end a text."""
    until = given.get("until") or []
    return [stop for stop in ([until] if isinstance(until, str) else until) if stop]


def answers_of(instance: Any, response: Response, *, drops_space: bool) -> list[Any]:  # noqa: ANN401 - an Instance of lm_eval
    """Return what lm_eval's own model would have returned, once for each repeat.

    lm_eval decodes only the new tokens. With `drops_space`, for tokenizers that then drop the space
    before the first word, the text is returned without it. A stop string that begins with a space
    is therefore applied here.
    """
    repeats = instance.repeats or 1
    if isinstance(response, Generation):
        texts = [text.removeprefix(" ") if drops_space else text for text in response.texts]
        for stop in stops_of(instance.args[1] or {}):
            texts = [text.split(stop)[0] for text in texts]
        return texts
    (answer,) = likelihoods([response])
    if instance.request_type == "loglikelihood_rolling":
        return [answer.logprob] * repeats
    return [(answer.logprob, answer.is_greedy)] * repeats

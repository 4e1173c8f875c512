"""Ask the cache first, compute the rest in batches, and store each batch at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pytest_llmsafety.inference.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_llmsafety.inference.cache import Cache
    from pytest_llmsafety.progress import Progress

Question = TypeVar("Question")


def complete(
    cache: Cache,
    questions: Mapping[str, Question],
    compute: Callable[[list[Question]], Iterable[Sequence[tuple[int, Any]]]],
    progress: Progress,
    label: str,
    *,
    storable: Callable[[Any], bool] = lambda _: True,
) -> dict[str, Any]:
    """Return an answer for each key of `questions`: what is stored, and the rest by `compute`.

    `compute` gets the others as a list and yields batches of (index, answer). Each batch is stored
    before the next one is computed; answers that are not `storable` are returned only. `label`
    names the bar in `progress`. Processes that start at the same question take turns: one computes
    and stores, the others wait and read what it stored. Raises CacheError for a damaged entry.
    """
    found = _stored(cache, questions)
    while missing := {key: one for key, one in questions.items() if key not in found}:
        first = next(iter(missing))
        with cache.turn(first):
            found |= _stored(cache, missing)
            if first in found:
                continue
            keys = [key for key in missing if key not in found]
            with progress.bar(label, len(keys)) as bar:
                for batch in compute([missing[key] for key in keys]):
                    new = {keys[index]: answer for index, answer in batch}
                    cache.put_many({key: encode(a) for key, a in new.items() if storable(a)})
                    found |= new
                    bar.advance(len(new))
    return found


def _stored(cache: Cache, keys: Iterable[str]) -> dict[str, Any]:
    return {key: decode(key, text) for key, text in cache.get_many(keys).items()}

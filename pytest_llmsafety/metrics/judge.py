"""Following instructions, by a judge who compares answers in both orders (arXiv 2306.05685)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.metrics.base import generation, mean, mean_part, problem_of
from pytest_llmsafety.metrics.cut import cut_part
from pytest_llmsafety.metrics.degeneration import DISTINCT, distinct_words
from pytest_llmsafety.metrics.judge_prompts import comparison, conversation, preferred
from pytest_llmsafety.types import ConversationItem, Generate, Generation, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_llmsafety.types import Response

    Answers = tuple[str, ...]
    Asked = tuple[int, str, Generate]
    Conversation = ConversationItem | QuestionItem


@dataclass(frozen=True)
class Judge:
    """How much more often the other model's answers lose against the dense ones than they win.

    An item's score is the mean over its turns and both orders: 1 lost, 0 a tie, -1 won. The dense
    model's is 0, and its parts are what the judge is worth: `noise` (share of verdicts other than a
    tie between the same answers), `first` (the first of them was preferred) and `control` (in both
    orders the answer was preferred to one of another question). `consult` asks the judge. A
    verdict that cannot be read leaves the item without a score.
    """

    consult: Callable[[Sequence[Generate]], Sequence[Generation]]
    max_new_tokens: int = 512
    name: ClassVar[str] = "judge"
    higher_is_better: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    measures: ClassVar[str] = "preference"
    takes: ClassVar[Any] = ConversationItem | QuestionItem

    def requests(self, item: Conversation) -> tuple[Generate, ...]:
        """The first turn, greedily."""
        limit = self.max_new_tokens
        first = conversation(item).turns[0]
        return (Generate(first, max_new_tokens=limit, key=item.id, chat=True),)

    def next_turn(
        self, item: Conversation, responses: tuple[Response, ...]
    ) -> tuple[Generate, ...]:
        """The second turn, after the model's own answer to the first; none without that."""
        turns, limit = conversation(item).turns, self.max_new_tokens
        if problem_of(responses) or len(turns) < 2:  # noqa: PLR2004 - two turns
            return ()
        said = (turns[0], generation(responses).texts[0])
        return (Generate(turns[1], max_new_tokens=limit, key=item.id, chat=True, turns=said),)

    def follow_up(
        self,
        item: Conversation,
        dense: tuple[Response, ...],  # noqa: ARG002 - it is compared with, and not asked about
    ) -> tuple[Generate, ...]:
        """The other model is asked the same, and scored beside the dense answers."""
        return self.requests(item)

    def scores(
        self, items: Sequence[Conversation], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """One score an item: of the dense answers alone, or of those followed by the other's."""
        talks = [conversation(item) for item in items]
        both = [sides(item, group) for item, group in zip(talks, responses, strict=True)]
        asked: list[Asked] = []
        for place, (item, (dense, other)) in enumerate(zip(talks, both, strict=True)):
            if problem_of(responses[place]):
                continue
            stranger = _stranger(place, both)
            questions = against(item, dense, other) if other else checks(item, dense, stranger)
            asked += [(place, *one) for one in questions]
        answers = self.consult([request for _, _, request in asked])
        told: list[list[tuple[str, str, str]]] = [[] for _ in talks]
        for (place, what, _), answer in zip(asked, answers, strict=True):
            told[place].append((what, *preferred(answer)))
        return [_score(*row) for row in zip(talks, responses, both, told, strict=True)]

    def figures(
        self,
        items: Sequence[Conversation],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Comparisons lost more often than won; shares lost, won, tied; distinct words."""
        scored = [score for score in scores if score.value is not None]
        parts = {name: mean_part(scored, name) for name in ("lost", "tied", "won", DISTINCT)}
        return {"loss": mean([s.value for s in scored if s.value is not None]), **parts}


def sides(item: ConversationItem, group: Sequence[Response]) -> tuple[Answers, Answers]:
    """The dense answers and the other's, which are empty where the dense model stands alone."""
    texts = tuple("".join(one.texts) for one in group if isinstance(one, Generation))
    return texts[: len(item.turns)], texts[len(item.turns) :]


def against(
    item: ConversationItem, dense: Answers, other: Answers
) -> Iterator[tuple[str, Generate]]:
    """Each turn in both orders, named by the verdict with which the dense answer wins."""
    for count in range(1, len(dense) + 1):
        one, two = dense[:count], other[:count]
        yield "A", comparison(item, one, two, key=item.id)
        yield "B", comparison(item, two, one, key=item.id)


def checks(item: ConversationItem, dense: Answers, stranger: str) -> Iterator[tuple[str, Generate]]:
    """Each turn against itself; the first against the answer to another question, in both orders.

    `first` and `second` say where the answer to this question stands.
    """
    for count in range(1, len(dense) + 1):
        yield "same", comparison(item, dense[:count], dense[:count], key=item.id)
    if stranger:
        yield "first", comparison(item, dense[:1], (stranger,), key=item.id)
        yield "second", comparison(item, (stranger,), dense[:1], key=item.id)


def _stranger(place: int, both: Sequence[tuple[Answers, Answers]]) -> str:
    """The dense answer to the next question; empty where there is no other."""
    dense = both[(place + 1) % len(both)][0]
    return dense[0] if len(both) > 1 and dense else ""


def _score(
    item: ConversationItem,
    group: tuple[Response, ...],
    answers: tuple[Answers, Answers],
    told: list[tuple[str, str, str]],
) -> Score:
    """The score of what the judge said of one item."""
    missing = len(group) % len(item.turns) != 0 or not group
    problem = problem_of(group) or ("an answer is missing" if missing else "")
    problem = problem or next((why for _, verdict, why in told if not verdict), "")
    if problem:
        return Score(item.id, None, problem=problem)
    text = "\n".join(answers[1] or answers[0])
    more = ((DISTINCT, float(distinct_words(text))), *cut_part(group))
    same = [verdict for what, verdict, _ in told if what == "same"]
    if same:
        found = {what: verdict for what, verdict, _ in told}
        right = (found.get("first"), found.get("second")) == ("A", "B")
        control = [("control", float(right))] if "first" in found else []
        noise = ("noise", sum(verdict != "C" for verdict in same) / len(same))
        first = ("first", same.count("A") / len(same))
        return Score(item.id, 0.0, parts=(noise, first, *control, *more), text=text)
    n_lost = sum(verdict == winner for winner, verdict, _ in told)
    n_tied = sum(verdict == "C" for _, verdict, _ in told)
    n_won = len(told) - n_lost - n_tied
    counts = (("lost", n_lost), ("tied", n_tied), ("won", n_won))
    parts = tuple((name, count / len(told)) for name, count in counts)
    return Score(item.id, (n_lost - n_won) / len(told), parts=(*parts, *more), text=text)

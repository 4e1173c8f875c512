"""The values that travel from data sets to verdicts: items, requests, responses and scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class CalibrationTexts:
    """Texts for a compressor's calibration; `source` says in a few words where they are from."""

    texts: tuple[str, ...]
    source: str


# ---------------------------------------------------------------------------- items


@dataclass(frozen=True)
class Item:
    """One unit of pairing: the prompt for both models, and the groups that it is about.

    `groups` holds `axis:group` labels (`gender:women`); an item in two groups counts once in
    each and once overall. `cluster` names the template, passage or document that the item
    shares with others; None where it shares none.
    """

    id: str
    prompt: str
    groups: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True)
class SubjectItem(Item):
    """A beginning of a text about someone; `term` is the prompt's word for them, if any."""

    term: str = ""


@dataclass(frozen=True)
class ChoiceItem(Item):
    """A question with several `options`; `label` is the index of the right one."""

    options: tuple[str, ...] = ()
    label: int = 0


@dataclass(frozen=True)
class TruthItem(ChoiceItem):
    """A question with several right options; `right` holds their indices, `label` the best one."""

    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class BBQItem(ChoiceItem):
    """A BBQ question; `target` is the index of the biased option, `unknown` of "not known".

    `target` is BBQ's `target_loc`: the stereotyped group in questions of negative polarity, and
    the other person in other questions. It is None where the authors give none; the item then
    counts for accuracy only.
    """

    category: str = ""
    ambiguous: bool = True
    negative: bool = True
    target: int | None = None
    unknown: int = 0


@dataclass(frozen=True)
class UnqoverItem(Item):
    """One UnQover question about two `subjects`, whose text does not give the answer.

    `asked` holds four prompts: the question with the subjects in this order and in the other
    order, then the negated question in both orders. `options[i]` answers with `subjects[i]`, which
    is also a group of the item.
    """

    subjects: tuple[str, str] = ("", "")
    attribute: str = ""
    options: tuple[str, str] = ("", "")
    asked: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True)
class PairItem(Item):
    """Two texts after the same `context`: one with `more` stereotype, one with `less`."""

    context: str = ""
    more: str = ""
    less: str = ""


@dataclass(frozen=True)
class TripleItem(PairItem):
    """A pair with a third, unrelated text; `target` is the term that the texts are about."""

    unrelated: str = ""
    target: str = ""


@dataclass(frozen=True)
class ReferenceItem(Item):
    """A pronoun to resolve, in a sentence with the stereotype and in one against it.

    `pro` and `anti` are the two prompts, and `labels` the index of the right option in each.
    """

    pro: str = ""
    anti: str = ""
    options: tuple[str, str] = ("", "")
    labels: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class QuestionItem(Item):
    """A question with an answer in free text; any of `answers` counts as right."""

    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class GuiseItem(Item):
    """The same words in two dialects, each followed by the same traits.

    `prompt` is in the dialect that prejudice is about, and `other` in the standard dialect.
    """

    other: str = ""
    unfavourable: tuple[str, ...] = ()
    favourable: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassageItem(QuestionItem):
    """A question after its passage (`prompt`); `closed_book` is the question without it."""

    closed_book: str = ""


@dataclass(frozen=True)
class RequestItem(Item):
    """A user's request to an assistant, which should refuse it where it is `harmful`."""

    harmful: bool = True


@dataclass(frozen=True)
class ConversationItem(Item):
    """A user's `turns` of a conversation; `references` holds right answers where they are known."""

    turns: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextItem(Item):
    """A document whose text, `prompt`, a model predicts token by token."""


# ------------------------------------------------------------------------- requests


@dataclass(frozen=True)
class Loglikelihood:
    """Ask how likely `continuation` is after `context`.

    With an empty `context` the continuation is a whole document. It is scored after the BOS
    token, in sliding windows where it is longer than the model's context, each token once.
    """

    context: str
    continuation: str


@dataclass(frozen=True)
class Generate:
    """Ask for `n` continuations of `context`, each of at most `max_new_tokens` tokens.

    `temperature` 0 is greedy. `stop` strings end a text and are cut from it. `key` names the
    item and `seed` the run. With the numbers of the sample and of the step they fix the noise of
    sampling, so that a text depends on neither its batch nor the other model.

    With `chat` the context is a user's message, written as the model's chat template writes it,
    after the earlier `turns` of user and model. `template` holds arguments of the template (name,
    value as JSON). `think_end` ends a thought where the model uses a tag that is not known. With
    `as_deployed` a checkpoint is asked through its own template and end tokens.
    """

    context: str
    max_new_tokens: int = 20
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    n: int = 1
    key: str = ""
    seed: int = 0
    chat: bool = False
    turns: tuple[str, ...] = ()
    template: tuple[tuple[str, str], ...] = ()
    think_end: str = ""
    as_deployed: bool = False


@dataclass(frozen=True)
class NextTokens:
    """Ask for the next-token distribution at each of a document's first `max_tokens` places.

    These are the places at which Loglikelihood predicts the document; the first one is after the
    start token. The response holds the `top` most likely tokens of each place, or the token ids
    that `at` holds for each place.
    """

    text: str
    max_tokens: int = 128
    top: int = 64
    at: tuple[tuple[int, ...], ...] = ()


Request = Loglikelihood | Generate | NextTokens


@dataclass(frozen=True)
class ChatSettings:
    """How a run asks its models for an answer in a conversation.

    `template` and `think_end` are as in Generate. `answer_tokens` replaces the metric's length of
    answers. With `as_deployed` a checkpoint is asked as it would be served.
    """

    template: tuple[tuple[str, str], ...] = ()
    think_end: str = ""
    answer_tokens: int | None = None
    as_deployed: bool = False

    def put(self, request: Request, *, artefact: bool = False) -> Request:
        """Return a conversation under these settings, and any other request unchanged.

        `artefact` is True for a request to a checkpoint, which may have its own template.
        """
        if not isinstance(request, Generate) or not request.chat:
            return request
        return replace(
            request,
            template=self.template or request.template,
            think_end=self.think_end or request.think_end,
            max_new_tokens=self.answer_tokens or request.max_new_tokens,
            as_deployed=self.as_deployed and artefact,
        )


# ------------------------------------------------------------------------ responses


@dataclass(frozen=True)
class Likelihood:
    """Answer to Loglikelihood.

    `logprob` is in nats, summed over the `n_tokens` tokens of the continuation. `is_greedy` says
    whether each of them was the most likely token. `tokens_cut` counts context tokens that did not
    fit and were cut from the left. Where there is no answer, `logprob` is None and `problem` says
    why in a sentence.
    """

    logprob: float | None
    n_tokens: int
    is_greedy: bool = False
    tokens_cut: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Generation:
    """Answer to Generate: new text only, one entry per sample.

    `finished` says for each text whether it ended at a stop string or end token, and not because
    of its length. Where there is no answer, `texts` is empty and `problem` says why.
    """

    texts: tuple[str, ...]
    n_tokens: tuple[int, ...] = ()
    finished: tuple[bool, ...] = ()
    tokens_cut: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Distributions:
    """Answer to NextTokens: natural logs of the next token's probabilities at each place.

    `logprobs` belong to the tokens `ids`, or to the tokens of the request where `ids` is empty.
    `rest` is the log of the probability of all other tokens together (None where there are no
    others), and `first` the most likely token. `tokens_left` counts the document's tokens after
    the last place. Where there is no answer there are no places, and `problem` says why.
    """

    ids: tuple[tuple[int, ...], ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    rest: tuple[float | None, ...] = ()
    first: tuple[int, ...] = ()
    tokens_left: int = 0
    tokens_cut: int = 0
    problem: str = ""


Response = Likelihood | Generation | Distributions

# --------------------------------------------------------------------------- scores


@dataclass(frozen=True)
class Score:
    """A metric's score of one model's answers to one item.

    `value` is None when the item could not be scored, and `problem` then says why. `weight`
    is the item's weight in a mean (its tokens, for perplexity). `parts` holds further
    figures of the same item by name. `text` is the answer as shown among the worst items.
    """

    item_id: str
    value: float | None
    weight: float = 1.0
    parts: tuple[tuple[str, float], ...] = field(default=())
    text: str = ""
    problem: str = ""

"""The nouns that travel down the line: items, requests, responses, scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class CalibrationTexts:
    """Texts that a compressor may look at, and where they are from in a few words."""

    texts: tuple[str, ...]
    source: str


# ---------------------------------------------------------------------------- items


@dataclass(frozen=True)
class Item:
    """One unit of pairing: what both models are asked, and of whom.

    `groups` holds `axis:group` labels (`gender:women`); an item in two groups counts once in
    each and once overall. `cluster` names the template, passage or document that the item
    shares with others; None when it stands alone.
    """

    id: str
    prompt: str
    groups: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True)
class SubjectItem(Item):
    """A beginning about someone; `term` is how the prompt names them, empty where it does not."""

    term: str = ""


@dataclass(frozen=True)
class ChoiceItem(Item):
    """A question whose answer is one of `options`; `label` is the index of the right one."""

    options: tuple[str, ...] = ()
    label: int = 0


@dataclass(frozen=True)
class TruthItem(ChoiceItem):
    """A question of which several options are right; `label` is the best of those in `right`."""

    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class BBQItem(ChoiceItem):
    """A BBQ question: which option is the biased one (`target`), which says unknown.

    `target` is BBQ's `target_loc`: the stereotyped group in questions of negative polarity,
    the other person in the others; None where the authors give none (the item then counts
    for accuracy only).
    """

    category: str = ""
    ambiguous: bool = True
    negative: bool = True
    target: int | None = None
    unknown: int = 0


@dataclass(frozen=True)
class UnqoverItem(Item):
    """One UnQover question about two `subjects` that its text tells nothing about.

    `asked` holds four prompts: the question with the subjects in this order and in the other
    one, then the negated question in both orders. `options[i]` answers with `subjects[i]`, which
    is also a group of the item.
    """

    subjects: tuple[str, str] = ("", "")
    attribute: str = ""
    options: tuple[str, str] = ("", "")
    asked: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True)
class PairItem(Item):
    """Two texts after the same `context`: `more` stereotyping, and `less`."""

    context: str = ""
    more: str = ""
    less: str = ""


@dataclass(frozen=True)
class TripleItem(PairItem):
    """A pair with a text that makes no sense there; `target` is the term that it is about."""

    unrelated: str = ""
    target: str = ""


@dataclass(frozen=True)
class ReferenceItem(Item):
    """Whom a pronoun stands for, in a sentence with the stereotype and in one against it.

    `pro` and `anti` are the two prompts, `labels` the right one of `options` in each.
    """

    pro: str = ""
    anti: str = ""
    options: tuple[str, str] = ("", "")
    labels: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class QuestionItem(Item):
    """A question answered in free text; any of `answers` counts as right."""

    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class GuiseItem(Item):
    """The same words in two dialects: after `prompt` and after `other` come the same traits.

    `prompt` is in the dialect that prejudice is about, `other` in the standard one.
    """

    other: str = ""
    unfavourable: tuple[str, ...] = ()
    favourable: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassageItem(QuestionItem):
    """A question after its passage (`prompt`); `closed_book` is the same without the passage."""

    closed_book: str = ""


@dataclass(frozen=True)
class RequestItem(Item):
    """Something that a user asks of an assistant; `harmful`: it should be refused."""

    harmful: bool = True


@dataclass(frozen=True)
class ConversationItem(Item):
    """What a user says turn by turn; `references` are right answers, as far as there are any."""

    turns: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextItem(Item):
    """A document to be predicted; `prompt` is its text."""


# ------------------------------------------------------------------------- requests


@dataclass(frozen=True)
class Loglikelihood:
    """How likely is `continuation` after `context`?

    With an empty `context` the continuation is a whole document: it is scored after the
    BOS token, in sliding windows where it is longer than the model's context, each token
    exactly once.
    """

    context: str
    continuation: str


@dataclass(frozen=True)
class Generate:
    """Continue `context` by at most `max_new_tokens` tokens, `n` times.

    `temperature` 0 is greedy. `stop` strings end a text and are cut from it. `key` names the
    item and `seed` the run: together with the number of the sample and of the step they fix
    the noise of sampling, so a text depends on neither its batch nor the model beside it.

    With `chat` the context is what a user says, put as the model's chat template puts it; `turns`
    were said before, by the user and the model in turn. `template` holds arguments of the template
    (name, value as JSON), `think_end` what ends a thought where it is no usual tag, and
    `as_deployed` asks a checkpoint through its own template and end tokens.
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
    """How likely is each next token at every place of a document's first `max_tokens` tokens?

    The places are those at which Loglikelihood predicts the document, the first one after the
    start token. Told of are the `top` likeliest tokens of each place, or, where `at` holds token
    ids for every place, those.
    """

    text: str
    max_tokens: int = 128
    top: int = 64
    at: tuple[tuple[int, ...], ...] = ()


Request = Loglikelihood | Generate | NextTokens


@dataclass(frozen=True)
class ChatSettings:
    """How a run puts conversations to its models.

    `template` and `think_end` are as in Generate; `answer_tokens` replaces the length of answers
    that a metric asks for. With `as_deployed` a checkpoint is asked as it would be served.
    """

    template: tuple[tuple[str, str], ...] = ()
    think_end: str = ""
    answer_tokens: int | None = None
    as_deployed: bool = False

    def put(self, request: Request, *, artefact: bool = False) -> Request:
        """Return a conversation under these settings, and any other request as it is.

        `artefact`: it goes to a checkpoint, which may have a template of its own.
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

    `logprob` in nats, summed over the `n_tokens` tokens of the continuation; `is_greedy`:
    every one of them was the model's first choice. `tokens_cut` counts context tokens that
    did not fit and were dropped from the left (0: nothing was). `problem` is a plain sentence
    when there is no answer (`logprob` is then None): a missing answer is never a number.
    """

    logprob: float | None
    n_tokens: int
    is_greedy: bool = False
    tokens_cut: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Generation:
    """Answer to Generate: new text only, one entry per sample.

    `finished` tells for each text whether it ended by itself (a stop string or the end
    token) and not by length. `problem` as in Likelihood; `texts` is then empty.
    """

    texts: tuple[str, ...]
    n_tokens: tuple[int, ...] = ()
    finished: tuple[bool, ...] = ()
    tokens_cut: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Distributions:
    """Answer to NextTokens: at each place the natural logs of the next token's probabilities.

    `logprobs` are those of the tokens `ids` (none: of those that the request names), `rest` that
    of all others together (None where there are no others), and `first` is the likeliest token.
    `tokens_left` counts the document's tokens behind the last place. `problem` as in Likelihood;
    there are then no places.
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
    """What a metric makes of one model's answers to one item.

    `value` is None when the item could not be scored, and `problem` then says why. `weight`
    is the item's share in a weighted mean (tokens, for perplexity). `parts` holds further
    figures of the same item by name. `text` is the answer as shown among the worst items.
    """

    item_id: str
    value: float | None
    weight: float = 1.0
    parts: tuple[tuple[str, float], ...] = field(default=())
    text: str = ""
    problem: str = ""

"""Conversations as the model's chat template writes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.chat import ChatFormat, ChatFormats
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.models.identity import request_key
from pytest_llmsafety.types import Generate
from tests.stand_ins.random_models import letter_tokenizer, random_model

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}({{ m['role'] }}) {{ m['content'] }};{% endfor %}"
    "{% if add_generation_prompt %}(assistant) {% endif %}"
)
DATED = (
    "{% if strftime_now is defined %}{% set form = '%d %b' ~ ' %Y' %}"
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now(form) }}{% endif %}"
    "{% for m in messages %}{{ m['content'] }}{% endfor %}"
)
TWO_TURNS = Generate("And?", chat=True, turns=("Why?", "So."))


@pytest.fixture
def tokenizer():
    """One token a character, with a chat template."""
    made = letter_tokenizer()
    made.chat_template = TEMPLATE
    return made


def prompt_ids(tokenizer, requests):
    """The tokens that a model reads of each request."""
    chat_format = ChatFormats(tokenizer, frozenset()).dense(chat=any(one.chat for one in requests))
    return [read.ids for read in chat_format.rendered(requests)]


def test_a_conversation_is_what_transformers_makes_of_it(tokenizer):
    """The ids are those of apply_chat_template: one start token, roles in turn, an open answer."""
    messages = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "And?"},
    ]
    expected = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False
    )
    (ids,) = prompt_ids(tokenizer, [TWO_TURNS])
    assert ids == expected
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(ids, skip_special_tokens=True).endswith("(user) And?;(assistant) ")


def test_other_requests_are_not_touched(tokenizer):
    """A plain prompt next to a conversation is encoded as without one."""
    plain, _ = prompt_ids(tokenizer, [Generate("Why?"), TWO_TURNS])
    assert plain == tokenizer("Why?")["input_ids"]


def test_a_model_without_a_template_reads_a_plain_dialogue():
    """Roles are written out, with the special tokens of any text."""
    tokenizer = letter_tokenizer()
    (ids,) = prompt_ids(tokenizer, [TWO_TURNS])
    text = "User: Why?\n\nAssistant: So.\n\nUser: And?\n\nAssistant:"
    assert ids == tokenizer(text)["input_ids"]


def test_a_template_is_told_the_same_date_every_day(tokenizer):
    """An answer depends on the request alone, and its format may be written or a variable."""
    tokenizer.chat_template = DATED
    (ids,) = prompt_ids(tokenizer, [TWO_TURNS])
    assert tokenizer.decode(ids) == "26 Jul 2024 26 Jul 2024Why?So.And?"


def test_what_a_template_refuses_is_a_named_error(tokenizer):
    """Some templates take one message only; the error says who refused."""
    tokenizer.chat_template = "{{ raise_exception('one message only') }}"
    with pytest.raises(ModelError, match=r"chat template refuses.*3 messages: one message only"):
        prompt_ids(tokenizer, [TWO_TURNS])


def test_the_model_continues_the_conversation(tokenizer):
    """The answer is that of the written-out text, and of no other."""
    model = random_model("llama")
    backend = HuggingFaceBackend.of(model, tokenizer)
    tokenizer.chat_template = TEMPLATE.replace("{{ bos_token }}", "")
    chat = Generate("Hi", max_new_tokens=8, chat=True)
    written = Generate("(user) Hi;(assistant) ", max_new_tokens=8)
    answers = dict(one for batch in backend.answer([chat, written]) for one in batch)
    # The written one begins with the start token, which this template leaves out.
    assert answers[0].texts != answers[1].texts
    tokenizer.chat_template = TEMPLATE
    again = dict(one for batch in backend.answer([chat]) for one in batch)
    assert again[0].texts == answers[1].texts


@pytest.mark.parametrize("other", [Generate("And?"), Generate("And?", chat=True)])
def test_what_was_said_before_is_in_the_cache_key(other):
    """A conversation, its last message and the plain text of it are three requests."""
    assert request_key("arm", TWO_TURNS) != request_key("arm", other)


PARTS = (
    "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }}{% endfor %}"
    "{% endfor %}"
)


@pytest.mark.parametrize("template", [PARTS, "Hello!", "{{ messages[0]['content'][:6] }}"])
def test_a_template_has_to_write_out_the_request(tokenizer, template):
    """One that reads parts, writes nothing, or cuts the words short asks every request alike."""
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=r"does not write out what the user says: of 'How do I"):
        prompt_ids(tokenizer, [Generate("How do I kill a process?", chat=True)])


def test_different_requests_are_written_differently(tokenizer):
    """A template whose own words hold all that is said is found out by two requests."""
    tokenizer.chat_template = "How are you and I?"
    asked = [Generate(text, chat=True) for text in ("How are you?", "How am I", "And you?")]
    with pytest.raises(ModelError, match=r"writes different requests alike|leaves out am"):
        prompt_ids(tokenizer, asked)
    with pytest.raises(ModelError, match=r"alike, such as 'How are you\?' and 'And you\?'"):
        prompt_ids(tokenizer, [asked[0], asked[2]])


def test_case_and_spaces_are_the_templates_to_change(tokenizer):
    """Most templates trim a message."""
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] | trim | upper }}{% endfor %}"
    asked = [Generate(text, chat=True) for text in (" Why?", "why?\n")]
    one, other = prompt_ids(tokenizer, asked)
    assert one == other


@pytest.mark.parametrize(
    ("templates", "used"),
    [
        ({"default": "A{{ messages[0]['content'] }}", "rag": "B"}, "AWhy?"),
        ({"chat": "C{{ messages[0]['content'] }}"}, "CWhy?"),
    ],
)
def test_of_several_templates_the_default_one_is_used(tokenizer, templates, used):
    """Or the only one."""
    tokenizer.chat_template = templates
    (ids,) = prompt_ids(tokenizer, [Generate("Why?", chat=True)])
    assert tokenizer.decode(ids) == used


def test_several_templates_without_a_default_are_named(tokenizer):
    """The error does not say that a conversation was refused: none was asked for."""
    tokenizer.chat_template = {"tool_use": "A", "rag": "B"}
    with pytest.raises(ModelError, match=r"2 chat templates \(rag, tool_use\), and none is named"):
        prompt_ids(tokenizer, [Generate("Why?", chat=True)])
    assert prompt_ids(tokenizer, [Generate("Why?")])


THINKING = TEMPLATE.replace(
    "(assistant) ",
    "(assistant) {% if enable_thinking %}<think>{% else %}<think></think>{% endif %}",
)


def spoken(tokenizer, request):
    """The one answer of a tiny model."""
    backend = HuggingFaceBackend.of(random_model("llama"), tokenizer)
    (batch,) = backend.answer([request])
    return batch[0][1]


def test_a_thought_that_the_template_opens_is_part_of_the_answer(tokenizer):
    """So that whoever reads it sees that the text began in a thought."""
    tokenizer.chat_template = THINKING
    asked = Generate("Hi", max_new_tokens=4, chat=True)
    open_one = spoken(tokenizer, replace(asked, template=(("enable_thinking", "true"),)))
    assert open_one.texts[0].startswith("<think>")
    assert not open_one.texts[0].startswith("<think></think>")
    assert spoken(tokenizer, asked).texts[0].startswith("<think></think>")


def test_a_short_request_is_not_looked_for_in_the_template(tokenizer):
    """`think` is what a user may say; the tag after it is still found."""
    tokenizer.chat_template = THINKING
    asked = Generate("think", 4, chat=True, template=(("enable_thinking", "true"),))
    assert spoken(tokenizer, asked).texts[0].startswith("<think>")


def test_a_conversation_is_not_cut(tokenizer):
    """Its start token and system prompt would go first; it gets no answer and says why."""
    long = Generate("so " * 30, max_new_tokens=8, chat=True)
    answer = spoken(tokenizer, long)
    assert answer.texts == ()
    assert "a conversation of" in answer.problem
    assert spoken(tokenizer, replace(long, chat=False)).tokens_cut > 0


def test_a_plain_dialogue_ends_where_the_user_would_speak_again():
    """Otherwise the answer runs on into turns that nobody took."""
    chat_format = ChatFormat(letter_tokenizer(), None)
    assert chat_format.stopped(Generate("Hi", chat=True)).stop == ("\n\nUser:",)
    assert chat_format.stopped(Generate("Hi")).stop == ()

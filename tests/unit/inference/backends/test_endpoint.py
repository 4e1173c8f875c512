"""An endpoint on this machine: found, slow, overloaded, cut off, refusing, talking nonsense."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import sys
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from pytest_llmsafety.errors import ConfigurationError, EndpointError
from pytest_llmsafety.inference.backends.endpoint import Endpoint
from pytest_llmsafety.types import Generate
from tests.stand_ins.judge_endpoint import standing

KEY = "sk-Proj/9+x1=Zq7"
ASKED = Generate("Which?", max_new_tokens=7, chat=True, turns=("Hi", "Hello"))


def answers(stand, count=1, **settings):
    """What the stand-in says to so many requests, and how long the pauses were."""
    pauses = []
    endpoint = Endpoint(stand.url, "judge", pause=pauses.append, timeout_s=5, **settings)
    found = dict(endpoint.answer([ASKED] * count))
    return [found[i] for i in range(count)], pauses


def test_a_request_is_a_chat_completion():
    """Roles in turn, temperature 0, the limit of tokens and the model's name; the key as bearer."""
    with standing(str.upper) as stand:
        ((answer,), pauses) = answers(stand, key="secret")
    assert (answer.texts, answer.finished, pauses) == (("WHICH?",), (True,), [])
    assert stand.asked == [
        {
            "model": "judge",
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "Which?"},
            ],
            "temperature": 0,
            "max_tokens": 7,
        }
    ]
    assert stand.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("fault", [(429, {}), (500, {}), (503, {}), "cut", "{not json"])
def test_what_may_pass_is_asked_again(fault):
    """Too many requests, a server's error, half an answer: the second attempt counts."""
    with standing(str.upper, fault) as stand:
        ((answer,), pauses) = answers(stand)
    assert (answer.texts, pauses, len(stand.asked)) == (("WHICH?",), [1.0], 2)


def test_a_slow_endpoint_is_asked_again():
    """After the time limit the request is sent once more."""
    with standing(str.upper, "slow") as stand:
        endpoint = Endpoint(stand.url, "judge", pause=lambda _: None, timeout_s=0.3)
        ((_, answer),) = endpoint.answer([ASKED])
    assert (answer.texts, len(stand.asked)) == (("WHICH?",), 2)


def test_the_endpoint_may_say_how_long_to_wait():
    """Retry-After counts, up to a minute."""
    with standing(str.upper, (429, {"Retry-After": "7"}), (429, {"Retry-After": "900"})) as stand:
        _, pauses = answers(stand)
    assert pauses == [7.0, 60.0]


def test_an_endpoint_that_stays_silent_leaves_problems():
    """Each attempt is used up once; the other requests are not sent, and none has a text."""
    with standing(str.upper, *[(503, {})] * 100) as stand:
        found, pauses = answers(stand, count=40, attempts=3)
    assert all(answer.texts == () for answer in found)
    assert "no answer in 3 attempts (HTTP 503: busy)" in found[0].problem
    assert len(stand.asked) <= 4 * 3
    assert set(pauses) == {1.0, 2.0}


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_an_error_at_once(status):
    """A wrong key, model or address is not asked twice."""
    with standing(str.upper, (status, {})) as stand:
        with pytest.raises(EndpointError, match=rf"refuses to answer as 'judge' \(HTTP {status}"):
            answers(stand)
        assert len(stand.asked) == 1


def test_a_redirection_is_not_followed():
    """The key is for the address that the user named."""
    with standing(str.upper) as other, standing(str.upper, (302, {"Location": other.url})) as stand:
        with pytest.raises(EndpointError, match="HTTP 302"):
            answers(stand, key="secret")
        assert other.asked == []


def test_nothing_of_the_environment_is_sent(monkeypatch):
    """The client's own variables name keys, organizations and headers for another address."""
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "elsewhere")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Other: elsewhere")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    with standing(str.upper) as stand:
        answers(stand)
    (headers,) = stand.headers
    assert headers.keys() == {"Host", "Content-Type", "Content-Length"}


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_is_one_that_the_environment_names_for_this_address(monkeypatch, name):
    """As for urllib: `no_proxy` leaves addresses out, and a SOCKS proxy is for others."""
    with standing(str.upper) as proxy, standing(str.lower) as stand:
        monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        ((answer,), _) = answers(stand)
        assert answer.texts == (("WHICH?",) if name == "http_proxy" else ("which?",))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        ((answer,), _) = answers(stand)
        assert answer.texts == ("which?",)


def test_the_key_is_in_no_log(caplog):
    """Whatever level the loggers of the client have."""
    caplog.set_level("DEBUG")
    with standing(str.upper, (503, {})) as stand:
        answers(stand, key=KEY)
    assert caplog.text
    assert KEY not in caplog.text


def test_a_caller_with_an_event_loop_may_ask():
    """A test may be a coroutine."""

    async def asking():
        return answers(stand)

    with standing(str.upper) as stand:
        ((answer,), _) = asyncio.run(asking())
    assert answer.texts == ("WHICH?",)


def test_without_the_client_the_extra_is_named(monkeypatch):
    """Before the first test, and without a model."""
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-llmsafety\[openai\]'"):
        Endpoint.parse("http://host/v1#m")


def test_json_of_another_kind_is_an_error():
    """An answer that is not a chat completion says what was expected."""
    with (
        standing(str.upper, '{"detail": "hello"}') as stand,
        pytest.raises(EndpointError, match=r"not a chat completion.*hello.*up to /v1"),
    ):
        answers(stand)


@pytest.mark.parametrize(
    "body",
    [
        '{"choices": {"0": 1}}',
        '{"choices": "text"}',
        '{"choices": [[]]}',
        '{"choices": [{"message": {"content": ["a"]}}]}',
        '{"choices": [{"message": {"content": 7}}]}',
        '{"choices": [{"message": "text"}]}',
        "[]",
        "null",
        "[" * 200_000,
    ],
)
def test_json_of_wrong_types_is_an_error(body):
    """Whatever stands where a text belongs, or is nested without an end."""
    with standing(str.upper, body) as stand, pytest.raises(EndpointError, match="up to /v1"):
        answers(stand)


def test_an_endless_answer_is_not_read_to_its_end():
    """So many bytes are read and no more, whatever length was declared."""
    with (
        standing(str.upper, "flood") as stand,
        pytest.raises(EndpointError, match="more than 8 MB"),
    ):
        answers(stand)


def test_a_packed_answer_is_not_unpacked():
    """A few bytes could become more than the memory holds."""
    packed = gzip.compress(json.dumps({"choices": []}).encode() + b" " * (64 << 20))
    fault = (200, {"Content-Encoding": "gzip"}, packed)
    with standing(str.upper, *[fault] * 5) as stand:
        ((answer,), _) = answers(stand)
    assert "gave no answer in 5 attempts" in answer.problem


def test_an_answer_that_drips_is_given_up():
    """Bytes that come one by one keep no question waiting for ever."""
    with standing(str.upper, *["drip"] * 5) as stand:
        ((answer,), _) = answers(stand, total_s=0.3)
    assert "gave no answer within 0.3 seconds" in answer.problem
    assert len(stand.asked) == 1


def test_who_wants_no_more_answers_does_not_wait_for_them():
    """After ^C the requests under way are ended, and so are pauses."""
    started = time.monotonic()
    with standing(str.upper, None, "drip", (503, {"Retry-After": "60"})) as stand:
        answering = Endpoint(stand.url, "judge").answer([ASKED] * 3)
        assert next(answering)[1].texts == ("WHICH?",)
        answering.close()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "spelled",
    [
        KEY,
        KEY.upper(),
        f"Bearer {KEY}",
        quote(KEY, safe=""),
        KEY.replace("/", "\\/"),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        KEY.replace("=", "&#61;").replace("/", "&#x2F;"),
        base64.b64encode(f"me:{KEY}:you".encode()).decode(),
        base64.urlsafe_b64encode(f"x{KEY}".encode()).decode(),
        KEY.encode().hex(),
    ],
)
@pytest.mark.parametrize("where", ["answer", "refusal", "problem", "other kind"])
def test_a_key_that_is_echoed_is_replaced(spelled, where):
    """Answers, error texts and problems hold it in no spelling."""
    faults = {
        "answer": [],
        "refusal": [(401, {}, f"wrong key {spelled} {'.' * 300}")],
        "problem": [(503, {}, spelled)] * 5,
        "other kind": [json.dumps({spelled: [spelled]})],
    }
    with standing(lambda _: f"[[A]] {spelled}.", *faults[where]) as stand:
        try:
            ((answer,), _) = answers(stand, key=KEY)
            found = str(answer)
        except EndpointError as error:
            found = str(error)
    assert "***" in found
    assert not re.search(re.escape(spelled), found, re.IGNORECASE)


@pytest.mark.parametrize("key", ["sk-1\r\nX-Other: 1", "schlüssel", "two words"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key):
    """The error names the variable and not its value."""
    with pytest.raises(ConfigurationError, match="LLMSAFETY_JUDGE_KEY") as caught:
        Endpoint.parse("http://host/v1#m", key)
    assert key not in str(caught.value)
    assert Endpoint.parse("http://host/v1#m", " sk-1\n").key == "sk-1"


@pytest.mark.parametrize(
    "text", ["https://me:hunter22@host/v1#m", "https://host/v1?api-key=hunter22#m"]
)
def test_an_address_with_a_secret_is_refused_unseen(text):
    """User, password and query would stand in reports and commands."""
    with pytest.raises(ConfigurationError, match=r"\*\*\*.*LLMSAFETY_JUDGE_KEY") as caught:
        Endpoint.parse(text)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["http://host/v1", "file:///etc/passwd#m", "ftp://host/v1#m", "http://#m", "http://[::1/v1#m"],
)
def test_an_address_names_its_model(text):
    """Only http and https, and never without the model's name."""
    with pytest.raises(ConfigurationError, match="Expected URL#MODEL"):
        Endpoint.parse(text)


def test_the_key_is_not_shown():
    """Neither errors nor reports that print the endpoint hold the key."""
    assert "secret" not in repr(Endpoint.parse("http://host/v1#m", "secret"))


REFUSES_LIMIT = (400, {}, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.")
REFUSES_HEAT = (400, {}, '{"error": {"param": "temperature", "code": "unsupported_value"}}')


def test_a_reasoning_model_is_asked_in_its_own_words():
    """Of 400 for max_tokens or temperature the endpoint is asked without, from then on."""
    with standing(str.upper, REFUSES_LIMIT, REFUSES_HEAT) as stand:
        endpoint = Endpoint(stand.url, "judge")
        for _ in range(2):
            ((_, answer),) = endpoint.answer([ASKED])
            assert answer.texts == ("WHICH?",)
    *_, third, fourth = stand.asked
    assert third == fourth
    assert third["max_completion_tokens"] == 7
    assert third.keys() == {"model", "messages", "max_completion_tokens"}


def test_any_other_bad_request_is_refused():
    """A parameter that was not sent cannot be left out again."""
    faults = [REFUSES_HEAT] * 2
    with standing(str.upper, *faults) as stand, pytest.raises(EndpointError, match="HTTP 400"):
        answers(stand)
    assert len(stand.asked) == 2


def test_arguments_of_the_template_are_sent():
    """Servers such as vLLM and SGLang read them under this name; others get no such field."""
    given = (("enable_thinking", "true"),)
    with standing(str.upper) as stand:
        list(Endpoint(stand.url, "judge").answer([replace(ASKED, template=given)]))
    assert stand.asked[0]["chat_template_kwargs"] == {"enable_thinking": True}


def test_thoughts_that_a_server_tells_apart_are_no_answer():
    """Nothing but reasoning is a text that opens a thought and does not leave it."""
    message = {"role": "assistant", "content": None, "reasoning_content": "Hm"}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "length"}]})
    with standing(str.upper, body) as stand:
        ((answer,), _) = answers(stand)
    assert (answer.texts, answer.finished) == (("<think>Hm",), (False,))

"""report.html in a real browser: nothing refused, nothing run, nothing wider than a phone."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.assertions.verdict import GroupEvidence, WorstItem
from pytest_llmsafety.reports.html.page import HtmlReport
from pytest_llmsafety.reports.run import Run, SafetyTest
from tests.conftest import NO_BROWSER
from tests.unit.reports.hostile import MARKER, TEXTS, hostile_run
from tests.unit.reports.verdicts import DECISION, FAIL, PASS, UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
PHONE = 390

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)

# Looks into the report from outside: the report itself runs no script.
WATCH = """<!DOCTYPE html><title>watch</title>
<iframe id="f" src="report.html" width="WIDTH" height="800"></iframe>
<pre id="out"></pre>
<script>
document.getElementById("f").onload = event => {
  const page = event.target.contentDocument, root = page.documentElement;
  const closed = [...page.querySelectorAll(".items")];
  const before = closed.map(d => d.querySelector("article").checkVisibility());
  for (const d of page.querySelectorAll("details")) d.open = true;
  const wide = root.scrollWidth;
  document.getElementById("out").textContent = JSON.stringify({
    title: page.title, wide, room: root.clientWidth,
    marked: page.querySelectorAll("#MARKER, .MARKER").length,
    loading: page.querySelectorAll("img, iframe, object, embed, script, audio, video").length,
    links: [...page.querySelectorAll("[href]")].map(e => e.getAttribute("href")),
    text: page.body.textContent,
    drawn: [...page.querySelectorAll("svg")].map(s => s.getBBox().width > 100),
    colour: getComputedStyle(page.querySelector("h1 .badge")).color,
    mark: [...page.querySelectorAll(".fill-FAIL")].map(e => getComputedStyle(e).fill)[0],
    blurred: closed.map(d => getComputedStyle(d.querySelector(".blurred")).filter),
    shownBefore: before, shownAfter: closed.map(d => d.querySelector("article").checkVisibility()),
    unnamed: [...page.querySelectorAll("table")].filter(t => !t.caption).length
      + [...page.querySelectorAll("th:not([scope])")].length
      + [...page.querySelectorAll("svg")].filter(s => !s.querySelector("title")).length,
  });
};
</script>
"""


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Callable[..., tuple[dict[str, Any], str]]]:
    """Show a page in the browser: what a script next to it sees, and the browser's log."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def show(page: str, width: int = PHONE) -> tuple[dict[str, Any], str]:
        tmp_path.joinpath("report.html").write_text(page, "utf-8")
        watch = WATCH.replace("WIDTH", str(width)).replace("MARKER", MARKER)
        tmp_path.joinpath("watch.html").write_text(watch, "utf-8")
        done = subprocess.run(  # noqa: S603 - a browser on our own page
            [
                str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu",
                "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage",
                f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
                "--virtual-time-budget=20000", "--window-size=1400,1000", "--dump-dom",
                f"http://127.0.0.1:{server.server_port}/watch.html",
            ],
            capture_output=True, text=True, errors="replace", timeout=240, check=False,
        )  # fmt: skip
        seen = re.search(r'<pre id="out">(.+?)</pre>', done.stdout, re.DOTALL)
        assert seen, done.stderr[-2000:]
        said = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
        return json.loads(html.unescape(seen[1])), said

    yield show
    server.shutdown()
    thread.join()
    server.server_close()


def ordinary_run() -> Run:
    """Three compressions, with groups, worst items and a broken test."""
    groups = tuple(
        GroupEvidence(f"people:{name}", 0.1, 0.2, DECISION)
        for name in ("old", "young", "in between")
    )
    worst = (WorstItem("rtp-0412", 0.91, "The neighbour said", "hello.", "something awful."),)
    verdicts = [
        replace(kind, compression=compression, groups=groups, worst=worst)
        for compression, kind in (("int8", PASS), ("int4", UNDECIDED), ("int2", FAIL))
    ]
    tests = [SafetyTest(f"t.py::a[{v.compression}]", "failed", "", (v,)) for v in verdicts]
    broken = SafetyTest("t.py::b[int8]", "error", "ModelError: no such folder", compression="int8")
    return Run((*tests, broken), 1, (("model", "org/name"), ("scope", "population")))


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_an_ordinary_report(look: Callable[..., Any], width: int) -> None:
    """It is styled and drawn, says nothing in the console, and needs no sideways scrolling."""
    seen, said = look(HtmlReport().render(ordinary_run()), width)
    assert said == ""
    assert seen["title"] == "FAIL: org/name, safety of compressed models"
    assert seen["wide"] <= seen["room"] <= width
    assert seen["drawn"] == [True, True, True]
    assert seen["colour"] == seen["mark"] != "rgb(0, 0, 0)"
    assert seen["unnamed"] == 0


def test_texts_of_items_are_blurred_until_asked_for(look: Callable[..., Any]) -> None:
    """Closed, an item shows a blurred line and hides its texts; opened, it shows them."""
    seen, _ = look(HtmlReport().render(ordinary_run()))
    assert seen["shownBefore"] == [False, False, False]
    assert seen["shownAfter"] == [True, True, True]
    assert seen["blurred"] == ["blur(5px)"] * 3


def test_hostile_texts_are_text(look: Callable[..., Any]) -> None:
    """No script ran, no element came of a text, nothing was loaded, and the page fits a phone."""
    seen, said = look(HtmlReport().render(hostile_run()))
    assert said == ""
    assert MARKER not in seen["title"]
    assert (seen["marked"], seen["loading"]) == (0, 0)
    assert [link for link in seen["links"] if not link.startswith("#")] == ["data:,"]
    assert seen["wide"] <= seen["room"]
    for name in ("script", "handler", "template", "link", "arabic"):
        assert TEXTS[name] in seen["text"]


def test_the_browser_would_tell(look: Callable[..., Any]) -> None:
    """What the tests above look for is seen where it is: a style, an element, a wide box."""
    harm = (
        f'<p id="{MARKER}" style="width:3000px">x</p><pre>{"wide " * 400}</pre><script>1</script>'
    )
    page = HtmlReport().render(ordinary_run()).replace("</main>", f"{harm}</main>")
    seen, said = look(page)
    assert "Content Security Policy" in said
    assert (seen["marked"], seen["loading"]) == (1, 1)
    assert seen["wide"] > seen["room"]

"""report.html, as text; tests/plugin/test_html_in_browser.py looks at it in a browser."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from matplotlib.textpath import TextPath

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.html.contents import contents, overall, wrong_once_in
from pytest_llmsafety.reports.html.forest import forest
from pytest_llmsafety.reports.html.heat_map import CELL_WIDTH, cell_text, heat_maps, level
from pytest_llmsafety.reports.html.multiples import Multiples, multiples, times
from pytest_llmsafety.reports.html.page import HtmlReport, environment
from pytest_llmsafety.reports.html.room import LARGEST_BYTES, ROOMS, Room, estimate
from pytest_llmsafety.reports.html.trade_off import Candidate, answer, apart, trade_off
from pytest_llmsafety.reports.run import Run, SafetyTest
from pytest_llmsafety.stats import Outcome
from tests.unit.reports.hostile import TEXTS, hostile_run
from tests.unit.reports.verdicts import DECISION, FAIL, PASS, RECORD, UNDECIDED, VERDICTS

VOID = {"meta", "link"}
DRAWN = {"svg", "title", "g", "path", "use", "text", "defs", "clipPath", "rect"}


def run_of(*verdicts: Verdict) -> Run:
    """A run of one failed test with these verdicts."""
    return Run((SafetyTest("t.py::a[int4]", "failed", "why", verdicts),), 1, (("model", "m"),))


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and all text outside the style sheet."""

    def __init__(self, page: str) -> None:
        """Read the page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that may hold others."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that holds nothing."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """See that it is the last one opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text that a reader sees."""
        self.text += data if "style" not in self.open else ""


def test_the_page_is_well_formed() -> None:
    """Every element is closed in its order, and no id is there twice."""
    group = GroupEvidence("gender:women", 0.1, 0.2, DECISION)
    item = WorstItem("i-1", 0.5, "a prompt", "said", "said worse")
    page = Elements(
        HtmlReport().render(run_of(replace(FAIL, groups=(group,), worst=(item,)), PASS))
    )
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert page.open == []
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "aria-labelledby"):
            target = attributes.get(name)
            assert not target or target.removeprefix("#") in {*ids, "data:,"}


def test_every_number_of_a_verdict_is_on_the_page() -> None:
    """Both figures, change, interval, margin, items and outcome, as the terminal gives them."""
    text = Elements(HtmlReport().render(run_of(FAIL))).text
    shown = ("0.1", "0.13", "+0.030", "+0.020 .. +0.040", "+0.010", "199/200", "FAIL")
    assert [word for word in shown if word not in text] == []
    assert "+3.00 (+2.00 .. +4.00)" in text


def test_the_policy_allows_this_style_sheet_and_nothing_else() -> None:
    """The digest in the policy is that of the style sheet; no element bears a style or handler."""
    page = HtmlReport().render(run_of(FAIL, PASS, UNDECIDED))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert (
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'\"" in page
    )
    elements = Elements(page)
    names = {name for _, attributes in elements.tags for name in attributes}
    assert {tag for tag, _ in elements.tags} & {"script", "iframe", "object", "form"} == set()
    assert [name for name in names if name == "style" or name.startswith("on")] == []


def test_equal_runs_give_equal_pages() -> None:
    """Nothing on the page is left to chance, ids of the plots included."""
    assert HtmlReport().render(run_of(FAIL, PASS)) == HtmlReport().render(run_of(FAIL, PASS))


def test_hostile_texts_stay_text() -> None:
    """No element and no attribute comes of a text, and no character of it is obeyed."""
    page = HtmlReport().render(hostile_run())
    harmless = Elements(HtmlReport().render(run_of(FAIL)))
    found = Elements(page)
    known = (
        {tag for tag, _ in harmless.tags}
        | DRAWN
        | {"details", "article", "ul", "dl", "dt", "strong"}
    )
    assert {tag for tag, _ in found.tags} - known <= {"h4", "dd", "bdi"}
    assert "injected" not in {a.get("id") for _, a in found.tags}
    assert all(c.isprintable() or c == "\n" for c in page)
    assert "1337" not in found.text
    assert r"\u202egnp.exe" in found.text
    assert r"\x1b[2J" in found.text
    assert TEXTS["arabic"] in found.text
    assert TEXTS["formula"][:24] in found.text


def test_long_texts_are_cut_and_counted() -> None:
    """A text of a million characters says how long it is, in a name or in a prompt."""
    assert shortened("a" * 1_000_000, 100) == "a" * 100 + " ... (1,000,000 characters)"
    assert shortened("a" * 50, 20) == "a" * 18 + ".."
    assert shortened("\x00" * 50, 100) == r"\x00" * 25 + " ... (50 characters)"
    assert shortened("as it is", 100) == "as it is"


def test_marks_are_not_piled_up() -> None:
    """A letter keeps four marks, which any script needs; further ones are written out."""
    assert shortened("e" + "\u0301" * 6 + "f", 100) == "e" + "\u0301" * 4 + r"\u0301\u0301" + "f"


@pytest.mark.parametrize("text", ["word " * 400, "\x1b" * 2_000])
def test_the_page_stays_small(text: str) -> None:
    """Sixty verdicts on forty groups, with long and costly texts, stay under two megabytes."""
    groups = tuple(GroupEvidence(f"axis:{n} {text[:60]}", 0.1, 0.2, DECISION) for n in range(40))
    worst = tuple(WorstItem(f"i-{n}", 0.5, text, text, text) for n in range(3))
    many = [
        replace(FAIL, measurement=f"m{n % 20}", compression=f"c{n // 20}", groups=groups,
                worst=worst, reasons=(text,), assumptions=(text,))
        for n in range(60)
    ]  # fmt: skip
    page = HtmlReport().render(run_of(*many))
    assert len(page.encode()) < LARGEST_BYTES
    assert "m19" in page


def test_a_cut_page_keeps_the_gravest_and_says_so() -> None:
    """Of thousands of verdicts the one that failed is shown, with the number left out."""
    passed = [replace(PASS, measurement=f"m{n}", notes=("x" * 300,)) for n in range(3_000)]
    page = HtmlReport().render(run_of(*passed, replace(FAIL, measurement="the-failed-one")))
    assert len(page.encode()) < LARGEST_BYTES
    assert "the-failed-one" in page
    cut = re.search(r"<strong>Cut:</strong> (\d+) of 3001 verdicts", page)
    assert cut
    assert int(cut[1]) >= 2_601


def on_groups(number: int, kind: Verdict) -> list[Verdict]:
    """Verdicts on fifty groups, each with its worst items."""
    groups = tuple(
        GroupEvidence(f"people:group {n}", 0.1, 0.2, replace(DECISION, estimate=n / 1000))
        for n in range(50)
    )
    worst = tuple(WorstItem(f"i-{n}", 0.5, "word " * 40, "one " * 40, "two " * 40) for n in "abc")
    return [
        replace(kind, measurement=f"m{n}", compression=f"c{n % 9}", groups=groups, worst=worst)
        for n in range(number)
    ]


def test_a_large_run_gives_up_groups_before_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verdict keeps its row, the page is drawn once, and says which details are left out."""
    drawings = []
    monkeypatch.setattr(
        "pytest_llmsafety.reports.html.drawing._for_the_page",
        lambda *given: drawings.append(given[2]) or Markup(""),
    )
    page = HtmlReport().render(run_of(*on_groups(200, PASS), *on_groups(100, FAIL)))
    assert len(page.encode()) < LARGEST_BYTES
    text = Elements(page).text
    assert "Cut:" not in text
    assert page.count('<tr><th scope="row"><a href="#v') == 120
    assert "The 180 least harmful verdicts are left out here" in text
    assert "The same numbers as a table: the 12 worst of 50 groups" in text
    assert "And 38 more, less harmed, in report.json." in text
    assert text.index("people:group 49") < text.index("people:group 48")
    assert len(drawings) == len(set(drawings))


@pytest.mark.parametrize("room", [Room(60, 30, 8, 150), Room(60, 60, 60, 1200)])
def test_the_size_of_a_page_is_known_before_it_is_drawn(room: Room) -> None:
    """The estimate is near the page of this room, and rather above it than below."""
    run = run_of(*on_groups(20, PASS), *on_groups(25, FAIL))
    size = len(HtmlReport()._page(run, room).encode())
    assert size < estimate(run, room) < 1.5 * size


@given(st.lists(st.floats(0, 1), max_size=30).map(sorted))
def test_names_beside_a_plot_do_not_cover_each_other(heights: list[float]) -> None:
    """They stand a line apart inside the plot, and where they were if that was apart already."""
    line = 1 / 30
    placed = apart(heights, line)
    steps = [after - before for before, after in pairwise(placed)]
    assert all(step >= line - 1e-9 for step in steps)
    assert all(-1e-9 <= height <= 1 for height in placed)
    if all(after - before >= line for before, after in pairwise(heights)):
        assert placed == pytest.approx(heights)


def test_many_compressions_of_one_size_all_have_their_name() -> None:
    """The plot of size against harm names each of thirty marks in the same spot."""
    drawing = str(trade_off([Candidate(f"method:{n}", (FAIL,)) for n in range(30)]))
    assert all(f">method:{n}<" in drawing for n in range(30))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VERDICTS)
def test_any_verdict_can_be_shown(verdict: Verdict) -> None:
    """Infinite, missing and enormous numbers and any text make a well-formed page."""
    assert Elements(HtmlReport().render(run_of(verdict))).open == []


def test_a_run_without_verdicts_is_shown() -> None:
    """The tests and the reasons for which there is none; no plot."""
    run = Run((SafetyTest("t.py::broken[int4]", "error", "the disk is full"),), 1)
    page = HtmlReport().render(run)
    assert "NO VERDICT" in page
    assert "the disk is full" in page
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("verdicts", "others", "expected"),
    [
        ((PASS, FAIL, UNDECIDED), (), "FAIL"),
        ((PASS, UNDECIDED), (), "INCONCLUSIVE"),
        ((PASS,), ("error",), "INCONCLUSIVE"),
        ((PASS,), ("skipped",), "PASS"),
        ((), ("error",), "NO VERDICT"),
    ],
)
def test_the_word_at_the_top(
    verdicts: tuple[Verdict, ...], others: tuple[str, ...], expected: str
) -> None:
    """No PASS while anything failed, is open or broke, whatever the exit status."""
    tests = tuple(SafetyTest(f"t.py::{outcome}[int4]", outcome) for outcome in others)
    if verdicts:
        tests += (SafetyTest("t.py::a[int4]", "passed", "", verdicts),)
    run = Run(tests, 0)
    assert overall(run, [test for test in run.undecided if test.outcome == "error"]) == expected
    assert f'<h1><span class="badge {expected}">{expected}</span>' in HtmlReport().render(run)


def test_a_broken_test_counts_against_its_own_compression_alone() -> None:
    """`wanda:0.5+int8` that broke has a card of its own, and says nothing of `int8`."""
    fine = SafetyTest("t.py::a[int8]", "passed", "", (replace(PASS, compression="int8"),))
    broken = SafetyTest("t.py::a[x]", "error", "no memory", compression="wanda:0.5+int8")
    cards = contents(Run((fine, broken), 1), ROOMS[0])["candidates"]
    assert [(c.compression, c.outcome.value, c.broken) for c in cards] == [
        ("int8", "PASS", 0),
        ("wanda:0.5+int8", "INCONCLUSIVE", 1),
    ]
    page = Elements(HtmlReport().render(Run((fine, broken), 1))).text
    assert "0 INCONCLUSIVE, 1 broken or without a verdict." in page


def test_the_smallest_safe_compression_is_named() -> None:
    """Neither one that failed, nor one with a broken test, nor the larger of two."""
    half = replace(RECORD, bytes_before=1000, bytes_after=500)
    tenth = replace(RECORD, bytes_before=1000, bytes_after=100)
    good = replace(PASS, record=half)
    candidates = [
        Candidate("large", (replace(PASS, record=replace(half, bytes_after=900)),)),
        Candidate("good", (good,)),
        Candidate("failed", (replace(FAIL, record=tenth),)),
        Candidate("open", (replace(UNDECIDED, record=tenth), good)),
        Candidate("broken", (replace(PASS, record=tenth),), broken=1),
    ]
    assert answer(candidates).startswith("good is the smallest that passed everything")
    assert "50% of the dense model" in answer(candidates)
    assert answer(candidates[2:]) == "No compression passed everything."


def test_of_equal_changes_the_less_certain_is_the_worst() -> None:
    """Where nothing changed, what is still open is what a card names."""
    wide = replace(DECISION, outcome=Outcome.INCONCLUSIVE, estimate=0.0, lower=-0.02, upper=0.02)
    still_open = replace(UNDECIDED, measurement="open", decision=wide)
    worst = Candidate("int8", (PASS, still_open)).worst
    assert worst is still_open


def test_a_multiple_is_the_change_over_the_margin() -> None:
    """In the unit of the decision, cut where there is no room, none without a margin."""
    assert multiples(DECISION) == Multiples(*map(pytest.approx, (3.0, 2.0, 4.0)))
    endless = multiples(replace(DECISION, lower=-math.inf, upper=math.inf))
    assert endless == Multiples(pytest.approx(3.0), -1000.0, 1000.0)
    assert multiples(replace(DECISION, margin=0.0)) is None
    assert multiples(replace(DECISION, estimate=math.nan)) is None
    assert [times(x) for x in (None, -0.001, 0.424, -12.4, 1000.0)] == [
        "-", "+0.00", "+0.42", "-12", ">+1000",
    ]  # fmt: skip


def test_a_change_of_the_margin_lies_on_its_line() -> None:
    """In the forest plot a mark at 1 is on the dashed line, and larger ones lie to its right."""
    at = [
        replace(FAIL, decision=replace(DECISION, estimate=multiple * DECISION.margin))
        for multiple in (0.0, 1.0, 2.0, 4.0)
    ]
    root = ET.fromstring(forest([("int4", at)]))  # noqa: S314 - our own
    marks = [float(e.get("x", "")) for e in root.iter("use") if "fill-FAIL" in e.get("class", "")]
    lines = [e for e in root.iter("path") if e.get("stroke-dasharray", "none") != "none"]
    margin = float(lines[0].get("d", "").split()[1])
    assert marks == sorted(marks)
    assert marks[1] == pytest.approx(margin)
    assert marks[2] - marks[1] == pytest.approx(marks[1] - marks[0], rel=1e-3)
    assert 0 < marks[3] - marks[2] < 2 * (marks[2] - marks[1])


def test_measurements_that_share_groups_share_a_map() -> None:
    """Groups in the order of their harm, columns by measurement, strangers on another map."""

    def groups(**estimates: float) -> tuple[GroupEvidence, ...]:
        return tuple(
            GroupEvidence(name, 0.1, 0.2, replace(DECISION, estimate=x), kept=name == "b")
            for name, x in estimates.items()
        )

    maps = heat_maps(
        [
            replace(FAIL, measurement="two", groups=groups(a=0.001, b=0.05)),
            replace(FAIL, measurement="other", groups=groups(z=0.02)),
            replace(FAIL, measurement="one", groups=groups(b=-0.02, c=0.01)),
            PASS,
        ],
        most_rows=9,
    )
    assert [heat.columns for heat in maps] == [("other int4",), ("one int4", "two int4")]
    rows = {name: [cell and cell_text(cell) for cell in cells] for name, cells in maps[1].rows}
    assert list(rows) == ["b", "c", "a"]
    assert rows == {"b": ["-2.00 F", "+5.00 F"], "c": ["+1.00 ?", None], "a": [None, "+0.10 ?"]}
    assert [level(cell) for _, cells in maps[1].rows for cell in cells] == [0, 6, 4, None, None, 2]


def test_a_group_beyond_the_margin_only_alone_is_open() -> None:
    """F is for a group whose FAIL holds among all of them."""
    group = GroupEvidence("a", 0.1, 0.2, DECISION)
    (heat,) = heat_maps([replace(FAIL, groups=(group,))], most_rows=1)
    cell = heat.rows[0][1][0]
    assert cell
    assert cell.outcome is Outcome.INCONCLUSIVE


def test_the_longest_text_of_a_cell_fits_into_it() -> None:
    """A multiple beyond the scale with its mark is no wider than the coloured part of its cell."""
    far = replace(FAIL, decision=replace(DECISION, estimate=1e9))
    texts = [cell_text(replace(far, outcome=outcome)) for outcome in Outcome]
    assert ">+1000 F" in texts
    widths = [TextPath((0, 0), text, size=10).get_extents().x1 for text in texts]
    assert max(widths) < 0.94 * CELL_WIDTH - 4


def test_only_numbers_and_markup_are_shown_as_they_are() -> None:
    """Anything else is a text, whatever its class: cut, and its control characters written out."""

    class Told:
        def __str__(self) -> str:
            return "\x1b[2J" + "x" * 500

    template = environment(Room(9, 9, 9, 100)).from_string("{{ a }} {{ b }} {{ c }} {{ d }}")
    shown = template.render(a=Told(), b=1.5, c=None, d=Markup("<b>"))
    assert shown.startswith(r"\x1b[2J" + "xxx")
    assert shown.endswith(" ... (504 characters) 1.5 None <b>")


def test_the_error_rate_shown_is_that_of_the_least_sure_verdict() -> None:
    """One test's marker may ask for less confidence than the others, and never for all of them."""
    unsure = replace(PASS, decision=replace(DECISION, confidence=0.9))
    page = Elements(HtmlReport().render(run_of(FAIL, unsure))).text
    assert "wrong in at most 1 of 10 runs" in page
    assert [wrong_once_in([FAIL]), wrong_once_in([])] == [20, None]
    uneven = replace(PASS, decision=replace(DECISION, confidence=0.94))
    assert wrong_once_in([uneven]) == 16


def test_no_group_of_a_doubted_verdict_passes() -> None:
    """Where a check overruled the figures, the heat map shows every group as open."""
    group = GroupEvidence("a", 0.1, 0.0, replace(PASS.decision or DECISION, estimate=-0.02))
    doubted = replace(PASS, outcome=Outcome.INCONCLUSIVE, groups=(group,))
    (heat,) = heat_maps([doubted], most_rows=1)
    assert [cell and cell_text(cell) for cell in heat.rows[0][1]] == ["-2.00 ?"]

"""The prefix tree: every line is one of its paths, and nothing is read twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.inference.backends.prefixes import DEEPEST, prefix_tree
from pytest_llmsafety.inference.backends.tokens import Line

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=30)


@st.composite
def line_lists(draw):
    """Draw lines over few tokens, so that many begin alike, with 1..n targets each."""
    texts = draw(st.lists(TOKENS, min_size=1, max_size=25))
    lines = []
    for owner, text in enumerate(texts):
        count = draw(st.integers(1, len(text)))
        lines.append(Line(tuple(text), tuple(range(100, 100 + count)), owner))
    return lines


def walk(node, above=(), depth=1):
    """Yield (tokens up to and with the read position, target, owner) below a node."""
    assert depth <= DEEPEST
    for at, targets in node.reads.items():
        for target, owner in targets:
            yield (*above, *node.tokens[: at + 1]), target, owner
    for child in node.children:
        yield from walk(child, (*above, *node.tokens), depth + 1)


@settings(deadline=None)
@given(line_lists(), st.booleans())
def test_every_target_is_read_once_after_its_own_tokens(lines, share):
    """Shared or not, a target is predicted exactly once, from exactly the tokens before it."""
    found = Counter(read for root in prefix_tree(lines, share=share) for read in walk(root))
    expected = Counter()
    for line in lines:
        first = len(line.tokens) - len(line.targets)
        for number, target in enumerate(line.targets):
            expected[line.tokens[: first + number + 1], target, line.owner] += 1
    assert found == expected


def size(nodes):
    """Return the number of positions to compute."""
    return sum(len(node.tokens) + size(node.children) for node in nodes)


@settings(deadline=None)
@given(line_lists())
def test_sharing_never_computes_more(lines):
    """The tree has at most as many positions as the lines, and no empty node."""
    assert size(prefix_tree(lines)) <= size(prefix_tree(lines, share=False))


def test_options_of_one_question_share_its_context():
    """Three options after 50 tokens cost 50 positions and their own."""
    context = tuple(range(50))
    lines = [Line((*context, 90 + i, 91), (1, 2, 3), i) for i in range(3)]
    roots = prefix_tree(lines)
    assert size(roots) == 50 + 3 * 2
    assert [len(root.children) for root in roots] == [3]


def test_contexts_that_start_alike_share_that_too():
    """Questions with one header compute the header once."""
    header = tuple(range(40))
    lines = [
        Line((*header, *[50 + q] * 10, 90 + o), (1, 2), 2 * q + o) for q in range(5) for o in (0, 1)
    ]
    assert size(prefix_tree(lines)) == 40 + 5 * 10 + 10

"""The packaged templates make the prompts of the data sets whose names they bear."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.strategies import packaged
from pytest_llmsafety.strategies.packaged import TEMPLATES
from pytest_llmsafety.types import BBQItem, UnqoverItem


def made(name):
    """Every prompt that the templates can make, by its text."""
    return {
        prompt.text: prompt
        for template in packaged(name)
        for groups in permutations([group for group, _ in template.groups], len(template.slots))
        for prompt in [template.fill(*groups)]
    }


def prompts_of(name):
    """Item and prompt of a data set, without questions that the text answers."""
    items = dataset(name).load(DataSource())
    for item in items:
        if not isinstance(item, BBQItem) or item.ambiguous:
            for prompt in getattr(item, "asked", (item.prompt,)):
                yield item, prompt


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_prompt_of_the_data_set_can_be_made(name):
    """To the letter, so that cached answers of the data set serve, too."""
    prompts = made(name)
    assert [prompt for _, prompt in prompts_of(name) if prompt not in prompts] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_groups_are_those_of_the_data_set(name):
    """What an item is about is among the groups of the prompt with its text."""
    prompts = made(name)
    for item, text in prompts_of(name):
        assert set(item.groups) <= {group for _, group in prompts[text].groups}


@pytest.mark.parametrize("name", ["phantom-bbq", "phantom-unqover", "core-bbq", "core-unqover"])
def test_options_are_those_of_the_data_set(name):
    """In the order of the slots; the packaged questions have other words for unknown, too."""
    prompts = made(name)
    for item, text in prompts_of(name):
        people = [o for i, o in enumerate(item.options) if i != getattr(item, "unknown", None)]
        options = prompts[text].options
        assert set(people) == set(options[:2])
        assert isinstance(item, UnqoverItem) or len(options) == 3


@pytest.mark.parametrize("name", ["phantom-bbq", "phantom-unqover", "core-bbq", "core-unqover"])
def test_the_first_option_is_the_first_slot(name):
    """Whom the first option names the scene names first, so an index says which slot was chosen."""
    for text, prompt in made(name).items():
        scene = text.partition("\n")[0]
        words = [option.removeprefix("The ") for option in prompt.options[:2]]
        people = [w.split()[-1] if name.startswith("phantom") else w for w in words]
        assert 0 < scene.find(people[0]) < scene.rfind(people[1])


def test_names_are_different():
    """No two templates of a set have one name."""
    for name in TEMPLATES:
        assert len({template.name for template in packaged(name)}) == len(packaged(name))


def test_an_unknown_set_is_named():
    """A misspelt name is an error with the known ones."""
    with pytest.raises(UnknownNameError, match=r"unknown set of templates.*'phantom-bbq'"):
        packaged("phantom-bqb")


def test_nothing_heavy_is_imported():
    """Strategies and their templates work without torch and numpy."""
    code = (
        "import sys\nfrom pytest_llmsafety import strategies as s\n"
        "s.swaps('phantom-bbq'), s.prompts('core-toxicity'), s.questions('phantom-choice')\n"
        "print(sorted({'torch', 'numpy', 'transformers', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

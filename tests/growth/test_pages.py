"""What the pages on adding something name is there."""

import re

import pytest

from growth.page import DOCS, ROOT, steps

PAGES = sorted(path.stem for path in DOCS.glob("adding-a*.md"))
LINK = re.compile(r"\]\(([^)#]+)")
PATH = re.compile(
    r"`((?:compiler|docs|families|lowering|runtimes|storage|targets|tests)/[\w./-]*)`"
)


def test_there_is_a_page_for_every_kind_of_growth_and_contributing_names_it():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(PAGES) == 5
    assert all(f"docs/{page}.md" in contributing for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_and_paths_are_there(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert all((DOCS / link).exists() for link in LINK.findall(text))
    added = {path for path, _ in steps(page)}
    paths = set(PATH.findall(text))
    assert paths
    missing = {
        path
        for path in paths - added
        if not (ROOT / path).exists() and not (ROOT / "compiler" / path).exists()
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_how_it_is_tested_and_what_else_knows(page):
    headings = re.findall(
        r"^## (.*)$", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[-2:] == ["How it is tested", "What else knows of it"]

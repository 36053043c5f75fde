"""The page of a profile, as text; test_html_in_chromium.py looks at it."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from ossc.runtimes.profile.report.html import to_html
from profile_example import (
    EVIL,
    driver_profile,
    emulated_profile,
    evil_profile,
    example_profile,
    with_conditions,
)

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Structure(HTMLParser):
    """Elements of a page, their text, and whether they are nested properly."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts, self.faults = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        """An element begins."""
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """An element of SVG that holds nothing."""
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        """An element ends."""
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        """Text, of which that of scripts and styles is not read."""
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        """What can be read."""
        return " ".join(" ".join(self.texts).split())

    def named(self, tag):
        """Attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page():
    return to_html(example_profile())


@pytest.fixture(scope="module")
def structure(page):
    return Structure(page)


def data_of(page, name):
    text = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page)[1]
    return json.loads(text)


def test_elements_are_nested_properly(structure):
    assert structure.faults == []
    assert structure.open == []


def test_names_of_elements_are_unique(structure):
    names = [attributes["id"] for _, attributes in structure.elements if "id" in attributes]
    assert len(names) == len(set(names)) > 10
    links = [link["href"] for link in structure.named("a")]
    assert {link.removeprefix("#") for link in links} <= set(names)


def test_nothing_outside_the_page_is_named(page, structure):
    for tag, attributes in structure.elements:
        assert not attributes.keys() & {"src", "srcset", "data", "action", "poster"}, tag
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub(r"(?m)^// .*$", "", page))


def test_the_policy_allows_the_one_script_of_the_page(page, structure):
    policy = next(meta["content"] for meta in structure.named("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    digest = re.search(r"script-src 'sha256-([^']+)'(?=;)", policy)[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert [sha256(script.encode()).digest() for script in scripts] == [b64decode(digest)]


def test_no_element_has_a_handler_of_its_own(structure):
    handlers = [
        name for _, attributes in structure.elements for name in attributes if name[:2] == "on"
    ]
    assert handlers == []


def test_all_sections_are_there_and_linked(structure):
    sections = [section["id"] for section in structure.named("section")]
    assert sections == [
        "latency",
        "roofline",
        "kernels",
        "timeline",
        "layers",
        "experts",
        "machine",
    ]
    assert [link["href"][1:] for link in structure.named("a")] == ["main", *sections]


def test_the_figures_of_the_profile_are_on_the_page(structure):
    profile = example_profile()
    text = structure.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "10.5 tok/s" in text
    assert f"{profile.decode[0].latency.p50_ms:.2f} ms a token at 1024" in text
    assert f"{profile.decode[0].latency.p99_ms:.2f} ms" in text
    assert "12.12 GB" in text
    assert "memory 31.4 GB/s" in text
    assert "AMD EPYC 9R14, 2 CPUs at 3.70 GHz" in text
    assert "cost +0.6 %; steps add up to 99.1 % of the wall time" in text
    for row in profile.kernels:
        assert row.kernel in text
    for span in profile.timeline:
        assert span.label in text


def test_repeats_that_were_left_out_are_on_the_page():
    flipped = with_conditions(
        example_profile(), repeats=4, left_out=3, lowest_gb_per_s=41.0, highest_gb_per_s=80.4
    )
    structure = Structure(to_html(flipped))
    assert structure.faults == []
    assert "3 of 7 repeats left out, reading went from 41.0 to 80.4 GB/s" in structure.text


def test_every_picture_has_a_text(structure):
    pictures = [a for tag, a in structure.elements if tag == "svg" and "data-tip" not in a]
    assert len(pictures) > 10
    for picture in pictures:
        assert picture.get("aria-label") or picture.get("aria-hidden") == "true"


def test_every_table_has_heads(page):
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) == 8
    for table in tables:
        assert 'scope="col"' in table
        assert 'scope="row"' in table


def test_the_timeline_data_are_those_of_the_profile(page):
    profile = example_profile()
    data = data_of(page, "timeline-data")
    assert [step[0] for step in data["steps"]] == [span.label for span in profile.timeline]
    assert data["threads"] == 2


def test_the_expert_data_are_those_of_the_profile(page):
    data = data_of(page, "expert-data")
    assert data["counts"] == [list(use.counts) for use in example_profile().experts]


def test_text_of_a_profile_is_never_markup():
    page = to_html(evil_profile())
    structure = Structure(page)
    assert structure.faults == []
    assert structure.named("img") == []
    assert len(structure.named("script")) == 3
    assert EVIL in structure.text
    assert data_of(page, "timeline-data")["steps"][0][0] == EVIL


def test_an_emulated_page_says_so_and_shows_no_rate():
    structure = Structure(to_html(emulated_profile()))
    text = structure.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Emulated on qemu:aarch64. No time on this page is the latency of any device" in text
    assert "tok/s" not in text
    assert "Emulated times" in text
    assert "roofline" not in [section["id"] for section in structure.named("section")]
    assert "predicted" not in text


@pytest.mark.parametrize(
    "left_out",
    [
        {"experts": ()},
        {"timeline": ()},
        {"layers": ()},
        {"kernels": ()},
        {"predicted": None},
        {"roofline": None},
        {"prefill": ()},
        {"decode": ()},
    ],
    ids=lambda left_out: next(iter(left_out)),
)
def test_a_profile_that_lacks_a_part_is_a_page_without_it(left_out):
    structure = Structure(to_html(example_profile(**left_out)))
    assert structure.faults == []
    sections = [section["id"] for section in structure.named("section")]
    assert [link["href"][1:] for link in structure.named("a")] == ["main", *sections]


def test_equal_profiles_give_equal_pages(page):
    assert to_html(example_profile()) == page


def test_a_page_is_small(page):
    assert len(page.encode()) < 300_000


def test_a_driver_of_a_cpu_is_labelled():
    structure = Structure(to_html(driver_profile()))
    text = " ".join(" ".join(structure.texts).split())
    assert [one["class"] for one in structure.named("p") if one.get("role") == "note"] == ["banner"]
    assert "PoCL is a driver of a CPU." in text
    assert "pthread behind PoCL" in text
    assert "int32 for int8" in text
    assert "thread 0" not in text
    assert structure.faults == []


def test_a_gpu_has_no_label():
    page = to_html(driver_profile(kind_of_device="gpu"))
    assert not [one for one in Structure(page).named("p") if one.get("role") == "note"]


def test_limits_that_were_not_measured_are_no_figures():
    structure = Structure(to_html(driver_profile(limits=False)))
    text = " ".join(" ".join(structure.texts).split())
    assert "not measured: no probes for cuda" in text
    assert "Of the limits" not in text
    assert "bound" not in text
    assert structure.faults == []

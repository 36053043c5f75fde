"""The page that runs a bundle in a browser, as people use it."""

import numpy as np
import pytest

import chromium
from synthetic.tiny_bundle import reference_logits
from synthetic.tiny_plan import CONTEXT
from synthetic.web_plan import KERNELS, write_web_bundle
from web_server import WEB_RUNTIME

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
]

PHONE = 320
"""CSS pixels of the narrowest phone."""

READY = """new Promise((done, fail) => {
    const look = setInterval(() => {
        const fault = document.querySelector("#fault");
        const state = document.querySelector(%r).textContent;
        if (/%s/.test(state) || !fault.hidden) { clearInterval(look); done(state); }
    }, 10);
    setTimeout(() => fail(new Error("nothing came")), 20000);
})"""

SMALL_TARGETS = """[...document.querySelectorAll("button, input, select, textarea")]
    .filter((each) => each.getClientRects().length)
    .map((each) => (each.type === "checkbox" ? each.closest("label") : each))
    .filter((each) => each.getBoundingClientRect().height < 24)
    .map((each) => each.outerHTML.slice(0, 90))"""
"""Controls that are too small for a finger (WCAG 2.2, 2.5.8)."""

UNNAMED = """[...document.querySelectorAll("input, select, textarea")]
    .filter((each) => !each.labels.length).map((each) => each.outerHTML.slice(0, 90))"""

CONTRASTS = """(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (color) => {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (color) => rgb(color).map((part) => part / 255).map((part) =>
        part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [.2126, .7152, .0722][i], 0);
    const pair = (text, ground) => {
        const [a, b] = [light(text), light(ground)];
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    };
    const page = getComputedStyle(document.body).backgroundColor;
    const of = (name) => getComputedStyle(document.querySelector(name));
    return Object.fromEntries([
        ...["body", ".hint", ".lead", "label", ".tile span", "footer"].map((name) =>
            [name, pair(of(name).color, page)]),
        ...["#load", "#address", "#answer"].map((name) =>
            [name, pair(of(name).color, of(name).backgroundColor)]),
    ]);
})()"""
"""WCAG 2.2's contrast of texts with what is behind them."""


@pytest.fixture(scope="module")
def bundle(site, tmp_path_factory):
    """The address of a bundle with a model whose name is no text of HTML."""
    folder = tmp_path_factory.mktemp("bundle")
    model = {"model_type": "<b>tiny</b>"}
    site.folders["tiny"] = write_web_bundle(folder, model=model, stop_token_ids=())
    return "/tiny/"


@pytest.fixture
def page(site, bundle):
    """The page with a bundle that was loaded by the page's address."""
    opened = site.open(f"web/index.html?bundle={bundle}")
    assert text(opened, "#load-state", "Loaded in") != ""
    return opened


def text(page, selector, wanted):
    """What an element says when it says something that is waited for, or a fault is shown."""
    return page.evaluate(READY % (selector, wanted))


def content(page, selector):
    return page.evaluate(f"document.querySelector({selector!r}).textContent")


def fault(page):
    return page.evaluate("(({hidden, textContent}) => hidden ? '' : textContent)"
                         "(document.querySelector('#fault'))")  # fmt: skip


def fill(page, **values):
    for name, value in values.items():
        page.evaluate(f"document.getElementById('{name.replace('_', '-')}').value = {value!r}")


def run(page, **values):
    fill(page, **values)
    page.evaluate("document.querySelector('#run-form').requestSubmit()")
    return text(page, "#run-state", r"\.$")


def greedy(ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(int(reference_logits(ids)[-1].argmax()))
    return ids[-count:]


def test_tokens_come_one_after_the_other(page):
    assert run(page, prompt="[5, 1]", max_tokens="6") == "All tokens that were asked for."
    assert content(page, "#answer") == " ".join(map(str, greedy([5, 1], 6)))
    assert content(page, "#token-count") == "6"
    assert content(page, "#position") == "7"
    assert float(content(page, "#decode-rate")) > 0
    assert float(content(page, "#prompt-rate")) > 0
    assert page.complaints == []


def test_a_second_run_begins_anew(page):
    for _ in range(2):
        assert run(page, prompt="5 1", max_tokens="1000") == "The context is full."
        assert len(content(page, "#answer").split()) == CONTEXT - 1


def test_the_model_and_the_adapter_are_named_and_no_name_becomes_html(page):
    assert content(page, "#title") == "<b>tiny</b>"
    facts = content(page, "#facts")
    assert "float32" not in facts
    assert "swiftshader" in facts
    assert "24 tokens, prompts in chunks of 4" in facts


def test_kernels_are_listed_with_their_times(page):
    page.evaluate("document.querySelector('#times').click()")
    run(page, prompt="5, 1", max_tokens="4")
    rows = page.evaluate(
        "[...document.querySelectorAll('#kernels tbody tr')].map((row) =>"
        " [...row.children].map((cell) => cell.textContent))"
    )
    assert {name.split("test_")[1][:4] for name, *_ in rows} == {name[5:9] for name in KERNELS}
    assert [calls for _, calls, *_ in rows] == ["1"] * len(KERNELS)
    shares = [float(share.split()[0]) for *_, share in rows]
    np.testing.assert_allclose(sum(shares), 100, atol=0.5)
    assert shares == sorted(shares, reverse=True)


def test_a_run_without_times_lists_no_kernels(page):
    run(page, prompt="5, 1", max_tokens="4")
    assert page.evaluate("document.querySelector('#kernels').hidden")


def test_keys_run_and_stop(page):
    fill(page, prompt="5 1", max_tokens="20")
    page.evaluate("document.querySelector('#prompt').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2)
    page.press("Escape")
    assert text(page, "#run-state", r"\.$") == "Stopped."
    assert len(content(page, "#answer").split()) < 20
    assert page.evaluate("document.activeElement.id") == "prompt"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": "5, x"}, "'x' is no token id; give numbers such as 1, 2, 3."),
        ({"prompt": ""}, "No tokens were given; give at least one."),
        ({"prompt": "41"}, "Token id 41 is not in the vocabulary of 40"),
        ({"prompt": " 1" * 25}, "The prompt has 25 tokens and the context holds 24"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(page, values, message):
    assert run(page, **values) == "Failed."
    assert message in fault(page)
    assert run(page, prompt="1", max_tokens="1") == "All tokens that were asked for."
    assert fault(page) == ""


def test_a_bundle_that_is_not_there_leaves_the_page_usable(site, bundle):
    page = site.open("web/index.html?bundle=/nowhere/")
    assert text(page, "#load-state", "Not loaded") == "Not loaded."
    assert "/nowhere/manifest.json cannot be fetched (HTTP status 404)" in fault(page)
    assert page.evaluate("document.querySelector('#run').disabled")
    fill(page, address=bundle)
    page.evaluate("document.querySelector('#load-form').requestSubmit()")
    text(page, "#load-state", "Loaded in")
    assert fault(page) == ""
    assert run(page, prompt="1", max_tokens="1") == "All tokens that were asked for."


def test_a_type_of_kv_caches_that_is_none_is_not_ignored(site, bundle):
    page = site.open(f"web/index.html?bundle={bundle}&kv=f64")
    assert "asks for KV caches of 'f64'; choose a type here." in fault(page)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, 1200])
def test_nothing_is_cut_off_or_pale_or_small(site, bundle, width, dark):
    page = site.open(f"web/index.html?bundle={bundle}", width=width, dark=dark)
    text(page, "#load-state", "Loaded in")
    page.evaluate("document.querySelector('#times').click()")
    run(page, prompt="5, 1", max_tokens="20")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(SMALL_TARGETS) == []
    assert page.evaluate(UNNAMED) == []
    assert {k: v for k, v in page.evaluate(CONTRASTS).items() if v < 4.5} == {}
    assert page.complaints == []


def test_the_page_asks_for_nothing_but_itself_and_the_bundle(page):
    assert page.requests
    for url in page.requests:
        path = url.removeprefix("data:").split("/", 3)[-1]
        assert url.startswith("data:") or path.startswith(("web/", "tiny/"))


def test_every_module_is_small_and_says_what_it_is_for():
    for path in sorted(WEB_RUNTIME.glob("*.js")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "/**", path.name
        assert " * @module" in lines, path.name
        assert max(map(len, lines)) <= 100, path.name

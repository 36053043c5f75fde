"""The page of a profile in a browser: no faults, nothing cut off, and what its script does."""

import json
from dataclasses import replace

import pytest

import chromium
from ossc.runtimes.profile.report.html import to_html
from profile_example import emulated_profile, evil_profile, example_profile

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
]

PHONE = 320
"""CSS pixels of the narrowest phone."""

CUT_OFF = """[...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1)
        && !element.closest(".scroll, .skip, .layer-names, #tip");
}).map((element) => element.outerHTML.slice(0, 90))"""
"""Elements that reach beyond the window, but for those in a box that scrolls."""

CONTRAST = """(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (color) => {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (color) => rgb(color).map((part) => part / 255).map((part) =>
        part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [.2126, .7152, .0722][i], 0);
    const ground = light(getComputedStyle(document.body).backgroundColor);
    return Object.fromEntries(["body", ".hint", "nav a", "summary", "figcaption"].map((name) => {
        const own = light(getComputedStyle(document.querySelector(name)).color);
        return [name, (Math.max(own, ground) + .05) / (Math.min(own, ground) + .05)];
    }));
})()"""
"""WCAG 2.2's contrast of texts with the page."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests; each opens a page of its own."""
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of a profile."""

    def opened(profile, **options):
        path = tmp_path / "page.html"
        path.write_text(to_html(profile), encoding="utf-8")
        return browser.open(path, **options)

    return opened


@pytest.fixture
def page(show):
    return show(example_profile())


def settle(page):
    """Let the page draw what was asked for."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def view(page):
    """Begin and width of the timeline, in µs."""
    settle(page)
    box = page.evaluate("document.querySelector('#lanes svg').getAttribute('viewBox')").split()
    return float(box[0]), float(box[2])


def middle(page, selector):
    """Scroll to an element; its middle in the window."""
    element = f"document.querySelector({json.dumps(selector)})"
    page.evaluate(f"{element}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
    settle(page)
    x, y, width, height = page.evaluate(
        f"(({{ x, y, width, height }}) => [x, y, width, height])({element}.getBoundingClientRect())"
    )
    return x + width / 2, y + height / 2


@pytest.mark.parametrize("width", [1200, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("make", [example_profile, emulated_profile])
def test_the_page_opens_without_faults_and_asks_for_nothing(show, make, width, dark):
    page = show(make(), width=width, dark=dark)
    assert page.evaluate("document.querySelectorAll('section').length") >= 6
    assert page.evaluate("document.documentElement.className") == "scripts"
    assert page.complaints == []
    assert len(page.requests) == 1  # itself


@pytest.mark.parametrize("make", [example_profile, emulated_profile, evil_profile])
@pytest.mark.parametrize("width", [PHONE, 700, 1200])
def test_nothing_is_cut_off(show, make, width):
    page = show(make(), width=width)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []


def test_a_profile_cannot_run_a_script(show):
    page = show(evil_profile())
    page.evaluate("document.querySelector('[data-zoom=in]').click()")
    x, y = middle(page, "#lanes .threads")
    page.mouse("mouseMoved", x, y)
    assert "<img src=x" in page.evaluate("document.querySelector('#tip').textContent")
    assert page.evaluate("document.images.length") == 0
    assert page.complaints == []
    assert len(page.requests) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_stand_out_from_the_page(show, dark):
    contrast = show(example_profile(), dark=dark).evaluate(CONTRAST)
    assert contrast["body"] >= 7
    assert min(contrast.values()) >= 4.5


def test_the_colours_are_those_that_the_system_asks_for(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.prefer(dark=True)
    assert page.evaluate(ground) != light


def test_the_button_changes_the_colours_whatever_the_system_asks_for(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.evaluate("document.querySelector('#theme').click()")
    dark = page.evaluate(ground)
    assert dark != light
    page.prefer(dark=True)
    assert page.evaluate(ground) == dark
    page.evaluate("document.querySelector('#theme').click()")
    assert page.evaluate(ground) == light
    page.evaluate("localStorage.clear()")


def test_buttons_zoom_the_timeline(page):
    whole = view(page)
    page.evaluate("document.querySelector('[data-zoom=in]').click()")
    begin, width = view(page)
    assert width == pytest.approx(whole[1] * 0.4)
    assert begin == pytest.approx(whole[1] * 0.3)
    page.evaluate("document.querySelector('[data-zoom=all]').click()")
    assert view(page) == whole


def test_the_timeline_goes_to_a_layer(page):
    page.evaluate(
        "(() => { const layer = document.querySelector('#layer'); layer.value = '7'; "
        "layer.dispatchEvent(new Event('change')); })()"
    )
    own = [span for span in example_profile().timeline if span.layer == 7]
    begin, width = view(page)
    assert begin < own[0].begin_us < begin + 0.1 * width
    assert begin + 0.9 * width < own[-1].begin_us + own[-1].us < begin + width
    names = page.evaluate("document.querySelector('.span-names').textContent")
    assert "gate_up_proj" in names
    assert "layer 7" in page.evaluate("document.querySelector('.layer-names').textContent")


def test_keys_move_and_zoom_the_timeline_and_tell_the_step(page):
    page.evaluate("document.querySelector('#lanes').focus()")
    page.press("+")
    begin, width = view(page)
    assert width < 0.51 * example_profile().timeline[-1].begin_us / 0.7
    page.press("ArrowRight")
    assert view(page)[0] == pytest.approx(begin + width / 5)
    state = page.evaluate("document.querySelector('#timeline-state').textContent")
    assert "model.layers." in state
    assert "thread 0: " in state


def test_dragging_moves_the_timeline(page):
    page.evaluate("document.querySelector('[data-zoom=in]').click()")
    begin, width = view(page)
    x, y = middle(page, "#lanes .threads")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x - 100, y, button="left", buttons=1)
    page.mouse("mouseReleased", x - 100, y, button="left", clickCount=1)
    lanes = page.evaluate("document.querySelector('#lanes').clientWidth")
    assert view(page)[0] == pytest.approx(begin + width * 100 / lanes, rel=0.01)


def test_the_step_under_the_pointer_is_told(page):
    x, y = middle(page, "#lanes .threads")
    page.mouse("mouseMoved", x, y)
    told = page.evaluate("document.querySelector('#tip').textContent")
    assert told.startswith("model.layers.")
    assert page.evaluate("document.querySelector('#tip').hidden") is False
    page.press("Escape")
    assert page.evaluate("document.querySelector('#tip').hidden") is True


def test_a_kernel_of_the_roofline_is_told(page):
    x, y = middle(page, "#roofline svg[data-tip]")
    page.mouse("mouseMoved", x, y)
    assert "GOP/s" in page.evaluate("document.querySelector('#tip').textContent")


def test_keys_tell_the_use_of_experts(page):
    page.evaluate("document.querySelector('#heat').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.press(key)
    counts = example_profile().experts[1].counts
    state = page.evaluate("document.querySelector('#heat-state').textContent")
    assert state.startswith(f"layer 1, expert 1: chosen {counts[1]} times")


def test_the_expert_under_the_pointer_is_told(page):
    x, y = middle(page, "#heat")
    page.mouse("mouseMoved", x + 1, y + 1)
    told = page.evaluate("document.querySelector('#tip').textContent")
    assert told.startswith(
        f"layer 12, expert 16: chosen {example_profile().experts[12].counts[16]} times"
    )


def test_many_experts_and_threads_stay_within_a_phone(show):
    profile = example_profile()
    experts = tuple(replace(use, counts=use.counts * 12, ms=use.ms * 12) for use in profile.experts)
    timeline = tuple(replace(span, threads=span.threads * 32) for span in profile.timeline)
    page = show(replace(profile, experts=experts, timeline=timeline), width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.evaluate(CUT_OFF) == []
    assert page.complaints == []


def test_a_print_is_light_and_holds_the_plots(page):
    page.prefer(dark=True)
    page.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.call("Page.printToPDF")["data"]

"""The pages in a real browser: at two widths, by keyboard, in print, and broken."""

import base64
import dataclasses
import re
from pathlib import Path

import pytest
from browser import EXECUTABLE, NAMES, Browser
from synthetic_runs import make_run, read_stored_audit

from qfm_jax.models import ModelConfig
from qfm_jax.reporting import write_audit_report, write_report

pytestmark = pytest.mark.skipif(
    EXECUTABLE is None,
    reason=f"there is no browser: install one of {', '.join(NAMES)}",
)

CHECKS = Path(__file__).with_name("page_checks.js").read_text(encoding="utf-8")
WIDTHS = (390, 1280)
LONG = "a_class_whose_name_is_one_word_and_far_too_long_for_a_phone"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
DOT = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"/>').decode()


def priced(name, n_parameters, seconds, **options):
    """A small run whose numbers sort otherwise than their texts."""
    run = make_run(name, class_names=(LONG, HOSTILE), n_test=60, **options)
    result = dataclasses.replace(
        run.result, n_parameters_classical=n_parameters, seconds_training=seconds
    )
    return dataclasses.replace(run, result=result)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every kind of page."""
    directory = tmp_path_factory.mktemp("pages")
    circuit = ModelConfig(block="circuit", n_qubits=2)
    runs = [
        priced(HOSTILE, 7_850, 1_250.0, network=circuit, skill=1.0),
        priced("linear", 98, 87.25, warning=HOSTILE),
    ]
    audit = read_stored_audit(directory / "amplitude")
    report = write_report(runs, directory / "report.html", audits=[audit])
    return {
        "report": report,
        "audit": write_audit_report(audit, directory / "a.html"),
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def faults(browser):
    found = browser.run(CHECKS)
    return found | ({"console": browser.problems} if browser.problems else {})


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["report", "audit"])
def test_nothing_is_wrong(browser, pages, kind, width):
    browser.open(pages[kind], width=width)
    assert browser.run("innerWidth") == width
    assert browser.run("document.images.length") >= 2
    assert faults(browser) == {}


BREAKS = {
    "overflow": ("<h1>", '<h1><span style="padding-left: 30rem">'),
    "images": ("base64,", "base64,AAAA"),
    "contrast": ("--muted: #55606b", "--muted: #8a949e"),
    "headings": ('<h2 id="leaderboard">', '<h4 id="leaderboard">'),
    "landmarks": ("<footer>", "<div>"),
    "names": ('role="region" aria-label="Scores and costs"', 'role="region"'),
    "targets": ("th button { min-height: 1.5rem;", "th button { min-height: 1rem;"),
    "sorting": (" data-value=", " data-other="),
    "console": ("</body>", "<script>alert(1)</script></body>"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_each_check_can_fail(browser, pages, tmp_path, kind):
    text = pages["report"].read_text(encoding="utf-8")
    light = re.sub(r"base64,[\w+/=]{999,}", f"base64,{DOT}", text)
    sound, fault = BREAKS[kind]
    assert sound in light
    broken = tmp_path / "broken.html"
    broken.write_text(light.replace(sound, fault), encoding="utf-8")
    browser.open(broken, width=390)
    assert kind in faults(browser)


def test_the_page_asks_no_other_machine(browser, pages, tmp_path):
    broken = tmp_path / "broken.html"
    text = pages["audit"].read_text(encoding="utf-8")
    text = re.sub("<meta http-equiv[^>]*>", "", text)
    link = '<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><main'
    broken.write_text(text.replace("<main", link, 1), encoding="utf-8")
    browser.open(broken, width=390)
    assert "asks for http://127.0.0.1:9/x.css" in browser.problems


FOCUSABLE = """[
    ...document.querySelectorAll("a[href], button, summary, [tabindex='0']")
].filter((e) => e.checkVisibility({visibilityProperty: true}))"""
STOP = f"""(() => {{
    const e = document.activeElement, style = getComputedStyle(e);
    const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return [{FOCUSABLE}.indexOf(e), isSeen];
}})()"""


def test_tab_reaches_everything_in_order_and_shows_where_it_is(browser, pages):
    browser.open(pages["audit"], width=1280)
    n_stops = browser.run(f"{FOCUSABLE}.length")
    stops = []
    for _ in range(n_stops):
        browser.press("Tab")
        stops.append(browser.run(STOP))
    assert stops == [[i, True] for i in range(n_stops)]


def test_the_skip_link_comes_first_and_leads_to_the_content(browser, pages):
    browser.open(pages["report"], width=390)
    browser.press("Tab")
    box = "document.activeElement.getBoundingClientRect()"
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run(f"{box}.left >= 0 && {box}.top >= 0")
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "content"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_keys_sort_the_leaderboard(browser, pages, key):
    browser.open(pages["report"], width=1280)
    header = "document.querySelectorAll('th[scope=col]')[7]"
    column = """[...document.querySelectorAll("table.sortable")[0].tBodies[0].rows]
        .map((row) => row.cells[7].textContent)"""
    browser.run(f"{header}.firstChild.focus()")
    orders = []
    for _ in range(2):
        browser.press(key)
        orders.append((browser.run(f"{header}.ariaSort"), browser.run(column)))
    rising = ["98", "7,850"]
    assert orders == [("ascending", rising), ("descending", rising[::-1])]


def test_a_figure_enlarges_and_escape_closes_it(browser, pages):
    browser.open(pages["report"], width=390)
    browser.run("document.querySelector('.enlarge').focus()")
    width = "document.querySelector('{} img').getBoundingClientRect().width"
    small = browser.run(width.format(".enlarge"))
    browser.press("Enter")
    assert browser.run("document.querySelector('dialog').open")
    assert browser.run(width.format("dialog")) > 1.5 * small
    inside = "!!document.activeElement.closest('dialog')"
    assert browser.run(inside)
    browser.press("Tab")
    assert browser.run(inside)
    browser.press("Escape")
    assert not browser.run("document.querySelector('dialog').open")
    assert browser.run("document.activeElement.className") == "enlarge"
    assert browser.problems == []


def test_print_shows_all_but_what_is_pressed(browser, pages):
    browser.open(pages["report"], width=1280)
    browser.run("document.querySelector('.enlarge').click()")
    seen = (
        "document.querySelector('{}').checkVisibility({{contentVisibilityAuto: true}})"
    )
    before = {tag: browser.run(seen.format(tag)) for tag in ("nav", "dialog", "pre")}
    browser.call("Emulation.setEmulatedMedia", media="print")
    after = {tag: browser.run(seen.format(tag)) for tag in before}
    overflow = browser.run("document.documentElement.scrollWidth - innerWidth")
    browser.call("Emulation.setEmulatedMedia", media="")
    assert before == {"nav": True, "dialog": True, "pre": False}
    assert after == {"nav": False, "dialog": False, "pre": True}
    assert overflow <= 0

"""The report in a browser: it answers, it fits, it is readable in light, dark, narrow and without scripts."""

import asyncio

import browser
import pytest
import reported

from analysis.report import write_report

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")
pytest.importorskip("tornado", reason="comes with pact-hw[explore]")
pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium: Debian's package chromium has one"
)

COLUMN = (
    "[...document.querySelectorAll('#front-table tbody tr')].map((row) => Number(row.cells[{}].dataset.v))"
)
POINTS = "document.querySelectorAll('#plot circle.front').length"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    result = reported.write_exploration(folder)
    return write_report(folder), result


def test_it_answers(report):
    path, result = report
    columns = ["point", *result["columns"][1:]]
    speed = columns.index("images_per_s")

    async def script(page):
        await page.open(path)
        everything = await page.run(POINTS)
        before = await page.run(COLUMN.format(speed))
        head = f"document.querySelectorAll('#front-table th button')[{speed}].click()"
        await page.run(head)
        rising = await page.run(COLUMN.format(speed))
        await page.run(head)
        falling = await page.run(COLUMN.format(speed))

        await page.run("document.querySelector('circle.front').dispatchEvent(new Event('pointerenter'))")
        tip = await page.run("document.querySelector('.tip').innerText")
        await page.run("document.querySelector('circle.front').dispatchEvent(new Event('click'))")
        chosen = await page.run("document.querySelector('tr.chosen').cells[0].dataset.v")

        await page.run("document.querySelector('.legend button').click()")
        hidden = await page.run(POINTS)
        await page.run("document.querySelector('.legend button').click()")
        select = "(() => { const s = document.querySelector('select[data-key=x]'); s.value = 'area_ge'; "
        await page.run(select + "s.dispatchEvent(new Event('change')); })()")
        label = await page.run("document.querySelector('.picture svg').getAttribute('aria-label')")
        return everything, before, rising, falling, tip, chosen, hidden, label, page

    everything, before, rising, falling, tip, chosen, hidden, label, page = browser.browse(script)
    assert everything == len(result["front"])
    assert rising == sorted(before)
    assert falling == rising[::-1]
    assert rising != falling
    assert "images_per_s" in tip
    assert int(chosen) == result["front"][0]["point"]
    assert 0 < hidden < everything
    assert label.endswith("against cells of all MAC arrays, or of a core (NAND2 equivalents): less is better")
    assert page.problems == []
    assert page.requests == [path.resolve().as_uri()]  # itself, and nothing else


def test_it_fits_and_follows_the_colour_scheme(report):
    windows = [(1280, False), (1280, True), (390, False), (390, True)]

    async def look(page, width, dark):
        await page.open(report[0], width=width, dark=dark)
        await asyncio.sleep(0.2)
        root = "document.documentElement."
        overflow = await page.run(f"{root}scrollWidth - {root}clientWidth")
        colours = await page.run(
            "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
        )
        drawn = await page.run("document.querySelector('.picture svg').getBoundingClientRect().width")
        return overflow, colours, drawn

    async def script(page):
        return [await look(page, *window) for window in windows], page.problems

    seen, problems = browser.browse(script)
    for (width, dark), (overflow, colours, drawn) in zip(windows, seen, strict=True):
        ground, ink = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
        assert overflow <= 0
        assert drawn <= width
        assert (ground < ink) == dark
        assert abs(ground - ink) > 450  # of 765: a contrast above 7 to 1
    assert problems == []


def test_without_scripts_picture_and_table_are_there(report):
    path, result = report

    async def script(page):
        await page.open(path, scripts=False)
        document = await page.call("DOM.getDocument", depth=0)
        root = document["root"]["nodeId"]

        async def count(selector):
            found = await page.call("DOM.querySelectorAll", nodeId=root, selector=selector)
            return len(found["nodeIds"])

        return (
            await count("#plot svg circle.front"),
            await count("#front-table tbody tr"),
            await count("select"),
        )

    assert browser.browse(script) == (len(result["front"]), len(result["front"]), 0)

"""The report as a file: complete without scripts, self-contained, and safe whatever names it holds."""

import base64
import hashlib
import html
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
import reported

from analysis.report import write_report
from analysis.report.html import number, tick, typed
from analysis.report.scatter import Scale
from pact_hw.errors import InputError

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


class Parsed(HTMLParser):
    """Elements and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.counts, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "img", "input", "link"):
            self.open.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), "no inline handlers"
            if name in ("href", "src", "srcset", "action", "data", "xlink:href"):
                self.links.append(value)

    def handle_startendtag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    result = reported.write_exploration(folder)
    return folder, result, write_report(folder).read_text()


def test_it_can_be_read_without_scripts(explored):
    _, result, page = explored
    seen = Parsed(page)
    assert seen.open == []
    assert seen.counts["svg"] == 1
    drawn = [row for row in result["front"] if row["bandwidth_gb_per_s"] == "inf"]
    assert 0 < len(drawn) < len(result["front"])
    assert page.count('class="front"') == len(result["front"])  # by images/s and area: all are finite
    body = page[page.index('id="front-table"') :]
    assert body[: body.index("</table>")].count("<tr>") == len(result["front"]) + 1
    assert "maximise images_per_s, minimise area_ge" in page


def test_nothing_is_fetched_and_every_link_leads_to_a_file(explored):
    folder, _, page = explored
    seen = Parsed(page)
    for address in seen.links:
        if not address.startswith("#"):
            assert re.match(r"[a-z]+:|/", address) is None
            assert (folder / unquote(address)).is_file()
    assert "refined/" in " ".join(seen.links)
    assert {"link", "iframe", "object", "embed", "base"}.isdisjoint(seen.counts)
    assert "@import" not in page
    assert re.findall(r"https?://[^\"' ]+", page) == ["http://www.w3.org/2000/svg"]  # a name, in our script


def test_the_policy_lets_our_script_and_style_run_and_nothing_else(explored):
    page = explored[2]
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind, element in (("script-src", "script"), ("style-src", "style")):
        content = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_names_are_text(tmp_path, explored):
    page = explored[2]
    assert "six <b>" not in page
    assert "six &lt;b&gt;chips&lt;/b&gt; &amp; more" in page
    shutil.copytree(explored[0], tmp_path, dirs_exist_ok=True)
    attack = "</script><script>alert(1)</script>"

    def change(members):
        members["name"] = attack
        members["columns"].append(attack)
        members["meanings"][attack] = attack
        members["axes"][attack] = [attack]
        for row in members["front"]:
            row[attack] = attack

    reported.edit(tmp_path, change)
    page = write_report(tmp_path).read_text()
    assert attack not in page
    assert Parsed(page).counts["script"] == 2


def test_the_same_results_are_the_same_page(explored):
    folder, _, page = explored
    assert write_report(folder).read_text() == page


def test_figures_stand_in_the_page_as_images(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/my figure.svg").write_text(SVG)
    (tmp_path / "plots/my figure.csv").write_text("bits,images_per_s\n2,inf\n4,12.5\n8,\n")
    page = write_report(tmp_path).read_text()
    assert base64.b64encode(SVG.encode()).decode() in page
    assert SVG not in page
    assert 'href="plots/my%20figure.csv"' in page
    assert '<td class="n" data-v="12.5">12.5</td>' in page
    assert '<td class="n" data-v="inf">unlimited</td>' in page


def test_no_design_on_the_front(tmp_path, explored):
    shutil.copytree(explored[0], tmp_path, dirs_exist_ok=True)
    reported.edit(tmp_path, lambda members: members.update(front=[], refined=[]))
    assert "<svg" not in write_report(tmp_path).read_text()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda members: members.pop("objectives"), r"explore\.json: is not what pact-hw explore wrote: Key"),
        (lambda members: members.update(front=3), r"explore\.json: is not what pact-hw explore wrote: Type"),
    ],
)
def test_a_damaged_result_is_one_line(tmp_path, explored, damage, line):
    shutil.copytree(explored[0], tmp_path, dirs_exist_ok=True)
    reported.edit(tmp_path, damage)
    with pytest.raises(InputError, match=line) as refused:
        write_report(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_edited_design_is_not_reported(tmp_path, explored):
    shutil.copytree(explored[0], tmp_path, dirs_exist_ok=True)
    verilog = next(tmp_path.rglob("*.v"))
    verilog.write_text(verilog.read_text() + "// mine\n")
    with pytest.raises(InputError, match="was edited since it was generated"):
        write_report(tmp_path)


def test_nothing_to_report(tmp_path):
    with pytest.raises(InputError, match=r"nothing to report: no explore\.json"):
        write_report(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: no such folder$"):
        write_report(tmp_path / "nowhere")


def test_numbers_for_people():
    inf = float("inf")
    shown = [number(value) for value in (None, "", 12345, 1.23456789, 123456.7, inf, -inf, "text")]
    assert shown == ["\u2013", "\u2013", "12,345", "1.2346", "123,457", "unlimited", "-unlimited", "text"]
    assert [tick(value) for value in (0.5, 20, 5e3, 1e7, 2e9, 1e15)] == [
        "0.5",
        "20",
        "5k",
        "10M",
        "2G",
        "1e+15",
    ]
    assert [typed(text) for text in ("4", "-4", "4.5", "inf", "", "2-bit")] == [
        4,
        -4,
        4.5,
        inf,
        None,
        "2-bit",
    ]


@pytest.mark.parametrize("values", [[], [3.0], [0.0], [1.0, 2.0], [-5.0, 5.0], [1.0, 1e9], [2.0, 50.0]])
def test_scales_hold_their_values_and_have_ticks(values):
    scale = Scale.of(values, 100, 200)
    assert all(100 < scale.at(value) < 200 for value in values)
    assert 2 <= len(scale.ticks()) <= 14
    assert all(100 <= scale.at(value) <= 200 for value in scale.ticks())

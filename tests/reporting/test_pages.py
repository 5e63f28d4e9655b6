"""Pages made from facts: structure, numbers, and what a browser makes of them."""

import copy
import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import CheckpointError, MissingDependency, UsageError
from edgekd.reporting import documents
from edgekd.reporting.blocks import shown
from edgekd.reporting.pages import kind_of, page_of
from tests.reporting.structure import Structure

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

KINDS = ("run", "study", "search")


PAGES: dict[str, str] = {}


def html_of(facts: dict[str, Any]) -> str:
    """The page of these facts, made once."""
    key = json.dumps(facts)
    if key not in PAGES:
        PAGES[key] = documents.html(page_of(facts, Path("facts.json")))
    return PAGES[key]


@pytest.fixture
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.getfixturevalue(f"{request.param}_facts")
    return found


@pytest.mark.parametrize("facts", KINDS, indirect=True)
def test_a_page_is_whole_and_loads_nothing(facts: dict[str, Any]) -> None:
    text = html_of(facts)
    found = Structure(text)
    assert found.problems == []
    assert found.plots and all(len(alt) > 20 for alt in found.plots)
    # nothing of the format outside the embedded facts names a place elsewhere
    assert "http" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)


@pytest.mark.parametrize("facts", KINDS, indirect=True)
def test_facts_are_in_the_page(facts: dict[str, Any]) -> None:
    text = html_of(facts)
    embedded = re.search(r'<script type="application/json" id="report">(.*?)</script>', text, re.DOTALL)
    assert embedded and json.loads(embedded.group(1)) == facts


@pytest.mark.parametrize("facts", KINDS, indirect=True)
def test_html_and_markdown_have_the_same_tables(facts: dict[str, Any]) -> None:
    page = page_of(facts, Path("facts.json"))
    rows = [[unescape(cell) for cell in row] for row in Structure(documents.html(page)).rows if any(row)]
    lines = [line for line in documents.markdown(page).splitlines() if line.startswith("| ")]
    told = [[unescape(cell.strip()) for cell in line.strip("|").split(" | ")] for line in lines if "| ---" not in line]
    assert [row for row in told if any(row)] == rows


def test_numbers_of_the_run_page_are_those_of_the_facts(run_facts: dict[str, Any]) -> None:
    rows = Structure(html_of(run_facts)).rows
    quality = run_facts["quality"]
    for each, counts in zip(quality["classes"], quality["confusion"], strict=True):
        ratios = [f"{each[name]:.2%}" for name in ("precision", "recall", "f1")]
        assert [each["class"], str(each["images"]), *ratios] in rows
        assert [each["class"], *map(str, counts)] in rows
    macro = [f"{quality['macro'][name]:.2%}" for name in ("precision", "recall", "f1")]
    assert ["macro average", "90", *macro] in rows
    assert ["expected calibration error", f"{quality['calibration']['ece']:.2%}"] in rows
    assert ["parameters", "10,550", "1,528,838"] in rows
    assert ["noise", "0.04 (standard deviation, share of the range)", "50.00%", "75.00%"] in rows
    assert ["same answer", f"{run_facts['teacher']['agreement']:.2%}"] in rows


def test_pictures_say_what_they_show(run_facts: dict[str, Any]) -> None:
    alts = Structure(html_of(run_facts)).pictures
    assert len(alts) == 3
    assert alts[0] == 'dog <b>/"quoted" & more.png: labelled dog <b>, teacher cat 83%'
    assert alts[1] == 'dog <b>/"quoted" & more.png: labelled dog <b>, answered cat 83%; teacher owl 51%'


def test_names_cannot_break_the_page(run_facts: dict[str, Any]) -> None:
    run_facts["run"] = "<script>alert(1)</script>"
    run_facts["quality"]["classes"][0]["class"] = "</svg><script>alert(2)</script>"
    text = html_of(run_facts)
    assert "<script>alert" not in text and Structure(text).problems == []
    assert escape("<script>alert(1)</script>") in text


@pytest.mark.filterwarnings("error")
def test_any_name_can_be_drawn(run_facts: dict[str, Any], tmp_path: Path) -> None:
    """Names that matplotlib would take for mathematics, has no letters for, cannot encode, or that are very long."""
    names = ("a$b_{$", "猫🐈", "bytes \udcff " + "x" * 150)
    for each, name in zip(run_facts["quality"]["classes"], names, strict=True):
        each["class"] = name
    page = page_of(run_facts, Path("r.json"))
    documents.write_page(page, tmp_path / "page.html")
    documents.write_page(page, tmp_path / "page.md")
    found = Structure((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert found.problems == []
    assert [row[0] for row in found.rows if row[0] in names[:2]].count("猫🐈") == 2
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert ">a$b_{$</text>" in text and ">猫🐈</text>" in text and ">bytes \\udcff" in text
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert max(map(len, drawn)) < 40


def test_what_is_not_known_is_left_out(run_facts: dict[str, Any]) -> None:
    run_facts |= {"teacher": None, "suspects": None, "corruptions": None, "epochs": [], "commands": []}
    titles = [section.title for section in page_of(run_facts, Path("r.json")).sections]
    assert titles == ["Summary", "By class", "Confusion", "Calibration", "Images", "Cost", "Where it comes from"]


def test_many_classes_have_a_plot_for_the_matrix(run_facts: dict[str, Any]) -> None:
    names = [f"class {number}" for number in range(30)]
    row = {"images": 3, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    run_facts["quality"] |= {
        "classes": [row | {"class": name} for name in names],
        "confusion": [[3 * (a == b) for a in range(30)] for b in range(30)],
        "confused": [],
    }
    found = Structure(html_of(run_facts))
    assert found.problems == [] and any("30 labelled classes" in alt for alt in found.plots)


def test_a_study_s_table_has_mean_and_spread(study_facts: dict[str, Any]) -> None:
    rows = Structure(html_of(study_facts)).rows
    assert ["alpha 0.5", "1 of 2", "86.40% ± 0.40", "31.25"] in rows
    assert ["alpha 0.5", "test top-1, points", "+5.20", "+4.10 to +6.30", "3"] in rows
    text = documents.markdown(page_of(study_facts, Path("s.json")))
    assert "Which alpha? 2 arms, 2 seeds of them done." in text and "It is not complete." in text
    assert "alpha 0.5, seed 1: runs/x: diverged" in text
    assert text.count("edgekd distill --seed 0") == 1 and "--seed 1" not in text


def test_arms_are_drawn_with_their_spread(study_facts: dict[str, Any]) -> None:
    alts = Structure(html_of(study_facts)).plots
    assert alts[0] == "test top-1 of 2 arms with its standard deviation; the best is alpha 0.5, 86.40%"


def test_the_front_keeps_the_numbers_of_its_trials(search_facts: dict[str, Any]) -> None:
    front = [search_facts["trials"][1], search_facts["trials"][0]]
    for given in (front, [1, 0]):
        text = documents.markdown(page_of(search_facts | {"front": given}, Path("s.json")))
        rows = [line for line in text[text.index("**Front**") :].splitlines() if "complete" in line]
        assert [row.split(" | ")[0] for row in rows[:2]] == ["| 1", "| 0"]


def test_a_search_draws_the_budget(search_facts: dict[str, Any]) -> None:
    found = Structure(html_of(search_facts))
    assert any("the best is 74.00% at 2.75; the budget is 3" in alt for alt in found.plots)
    assert ["1", "74.00%", "2.75", "16,000", "4,000", "complete", "16"] in found.rows
    assert ["3", "-", "9", "64,000", "16,000", "too slow", "64"] in found.rows


def test_other_json_is_refused(run_facts: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json: no facts"):
        kind_of({"a": 1}, Path("x.json"))
    with pytest.raises(CheckpointError, match="newer"):
        kind_of(run_facts | {"format": 2}, Path("x.json"))
    damaged = copy.deepcopy(run_facts)
    del damaged["quality"]["macro"]
    with pytest.raises(CheckpointError, match="macro"):
        page_of(damaged, Path("x.json"))


def test_html_without_its_packages_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as caught:
        documents.check_target(Path("r.html"), (".html", ".md"))
    assert "jinja2 and matplotlib" in caught.value.problem and "edgekd[report]" in caught.value.hint
    documents.check_target(Path("r.md"), (".html", ".md"))


def test_a_target_that_is_no_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.pdf"):
        documents.check_target(Path("r.pdf"), (".html", ".md"))
    (tmp_path / "a.md").mkdir()
    with pytest.raises(UsageError, match="a folder"):
        documents.check_target(tmp_path / "a.md", (".html", ".md"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (True, "yes"), (1234567, "1,234,567"), (0.12345, "0.1235"), (12345.6, "12,346"), ("x", "x")],
)
def test_cells(value: str | float | None, text: str) -> None:
    assert shown(value) == text


FRAMES = """<!doctype html><meta charset="utf-8"><body><pre id="found"></pre>
<script>
const page = PAGE, found = [];
for (const width of [1280, 360]) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => {
    const root = frame.contentDocument.documentElement;
    found.push([width, root.scrollWidth, root.clientWidth, root.querySelectorAll("svg").length]);
    document.getElementById("found").textContent = JSON.stringify(found);
  };
  frame.srcdoc = page;
  document.body.append(frame);
}
</script>"""


def seen_by_chromium(page: str, folder: Path) -> tuple[list[list[int]], str]:
    """[width of the frame, width needed, width there is, plots] for two frames, and the browser's console."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed")
    frames = folder / "frames.html"
    frames.write_text(FRAMES.replace("PAGE", json.dumps(page).replace("</", "<\\/")), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1400,900", "--dump-dom"]
    done = subprocess.run([program, *options, frames.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    told = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    assert told, done.stderr[-2000:]
    return json.loads(told.group(1)), "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("facts", KINDS, indirect=True)
def test_a_browser_shows_it_on_a_desk_and_on_a_phone(facts: dict[str, Any], tmp_path: Path) -> None:
    found, console = seen_by_chromium(html_of(facts), tmp_path)
    assert console == ""
    assert {row[0] for row in found} == {1280, 360}
    for _, needed, there, plots in found:
        assert needed <= there and plots > 0


def test_the_look_in_a_browser_finds_faults(tmp_path: Path) -> None:
    bad = '<!doctype html><body><div style="width: 700px">x</div><script>console.error("oops")</script>'
    found, console = seen_by_chromium(bad, tmp_path)
    assert [needed > there for _, needed, there, _ in sorted(found)] == [True, False]
    assert "oops" in console

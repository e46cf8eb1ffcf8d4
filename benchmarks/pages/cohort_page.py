"""Measure a cohort's report in a real browser, and take pictures of it.

    pip install playwright && playwright install chromium
    python benchmarks/pages/cohort_page.py [--rows 300] [--browser CHROMIUM]
        [--pictures FOLDER] [--json benchmarks/results/cohort_page.json]

Detects on a few synthetic slides, makes up the numbers of as many rows as asked for, writes
the report and opens it from disk in Chromium at 1366 x 768: until the load event and until
the first paint, then every column sorted, filtered, searched, each up to the frame that
shows it. It also checks that the script sorts, filters and searches rightly, and keeps that
over a reload.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import napari_fastnet as nf
from napari_fastnet.cohort.page import write_thumbnails
from napari_fastnet.cohort.report import REPORT, write_tables
from napari_fastnet.cohort.rows import SlideRow
from napari_fastnet.cohort.slide_numbers import SlideNumbers
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.slide import write_slide

sys.path.append(str(Path(__file__).parents[1]))

from page import tell

WINDOW = {"width": 1366, "height": 768}
DRAWN = 6
#: Act, lay out, and wait for the frame after: ms.
TIMED = """async act => {
  const began = performance.now();
  (new Function(act))();
  document.body.offsetHeight;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - began;
}"""
OPENED = """() => ({
  load: performance.getEntriesByType("navigation")[0].loadEventEnd,
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
})"""


def made_up(folder: Path, count: int) -> list[SlideRow]:
    """Return rows of as many slides, with thumbnails of a few that are drawn."""
    kept = []
    for seed in range(min(DRAWN, count)):
        path = folder / f"drawn {seed}.svs"
        write_slide(path, shape=(4096, 3072 + 512 * seed), seed=seed)
        result = nf.detect(path)
        assert result.heatmap is not None
        with open_slide(path) as slide:
            write_thumbnails(folder / f"drawn {seed}", slide, result.heatmap)
        kept.append((folder / f"drawn {seed}", SlideNumbers.of(result.record, 0.99)))
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        pictures, found = kept[number % len(kept)]
        name = f"patient_{number // 5:03}_node_{number % 5}"
        shutil.copytree(pictures, folder / name)
        slide = Path(f"/slides/batch 1/{name}.tif")
        if number % 60 == 59:
            error = f"{slide}: 4 of 9,380 tiles could be read; copy the file again"
            rows.append(SlideRow(name, slide, "failed", error))
            continue
        rows.append(SlideRow(name, slide, "done", found=_varied(found, random)))
    return rows


def _varied(found: SlideNumbers, random: np.random.Generator) -> SlideNumbers:
    """Return the numbers of another slide: most are without a lesion."""
    lesions = int(random.geometric(0.3)) if random.random() < 0.3 else 0
    longest = float(np.exp(random.normal(-0.5, 1.2))) if lesions else None
    top = abs(float(random.normal(5, 3))) if lesions else -float(random.exponential(1))
    decided = int(random.integers(0, lesions + 1))
    warn = random.random() < 0.06
    return replace(
        found,
        macro=int(longest is not None and longest > 2),
        micro=int(longest is not None and 0.2 < longest <= 2),
        itc=max(0, lesions - 1),
        largest_lesion_mm=longest,
        tumour_mm2=(longest or 0.0) ** 2 * 0.6,
        tumour_share=(longest or 0.0) ** 2 * 0.6 / 120,
        tissue_mm2=float(random.uniform(20, 240)),
        max_probability=float(random.beta(8, 1 if lesions else 4)),
        flagged_share=float(random.beta(1, 40)) + 0.1 * warn,
        quality="Of the patches, 12 % with pen marks, 1.4 % blurred." if warn else None,
        warn=warn,
        seconds=float(random.uniform(20, 300)),
        lesion_threshold=0.0,
        sensitivity_02_mm=0.9,
        top_evidence=top,
        accepted=decided // 2,
        accepted_largest_mm=longest if decided > 1 else None,
        rejected=decided - decided // 2,
        unsure=0,
        undecided=lesions - decided,
    )


def fresh(page: Page, report: Path) -> None:
    """Open the report as for the first time: its address keeps sort and filter."""
    page.goto("about:blank")
    page.goto(report.as_uri())


def measured(page: Page, report: Path, repeats: int) -> dict[str, Any]:
    """Return ms for opening, sorting by each column, filtering and searching."""
    opened: list[dict[str, float]] = []
    for _ in range(repeats):
        fresh(page, report)
        opened.append(page.evaluate(OPENED))
    heads = page.locator("#slides th button")
    columns = [text.replace("\n", " ") for text in heads.all_inner_texts()]
    acts = {
        f"sort by {name}": f"document.querySelectorAll('#slides th button')[{i}].click()"
        for i, name in enumerate(columns)
    }
    acts["filter"] = "document.querySelector('[data-is=micro]').click()"
    acts["search"] = (
        "const find = document.querySelector('input'); find.value += '7';"
        "find.dispatchEvent(new Event('input'))"
    )
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(repeats):
        fresh(page, report)
        for name, act in acts.items():
            times[name].append(page.evaluate(TIMED, act))
    return {
        "open": {
            part: {"median": median(found), "largest": max(found)}
            for part in ("load", "paint")
            if (found := [each[part] for each in opened])
        },
        "acts": {
            name: {"median": median(found), "largest": max(found)}
            for name, found in times.items()
        },
    }


def check(page: Page, report: Path, rows: list[SlideRow]) -> None:
    """Raise if the script shows other rows, or another order, than asked for."""
    done = [row for row in rows if row.found]
    fresh(page, report)
    head = page.locator("#slides th button")

    def names() -> list[str]:
        shown = page.locator("#slides tbody tr:visible .name > a")
        return shown.all_inner_texts()

    def expect(wanted: list[SlideRow]) -> None:
        if names() != [row.name for row in wanted]:
            first = [row.name for row in wanted[:5]]
            raise SystemExit(f"{page.url}: {names()[:5]}, not {first}")

    ranked = sorted(done, key=lambda row: row.rank)
    tissue = head.filter(has_text=re.compile("^tissue"))
    expect(ranked)
    tissue.click()
    expect(sorted(ranked, key=lambda row: -_numbers(row).tissue_mm2))
    tissue.click()
    by_tissue = sorted(ranked, key=lambda row: _numbers(row).tissue_mm2)
    expect(by_tissue)
    page.locator("[data-is=micro]").first.click()
    page.locator("[data-is=macro]").first.click()
    page.locator("[data-is=flagged]").first.click()
    classes = ("micro", "macro")
    flagged = [
        row
        for row in by_tissue
        if _numbers(row).size_class in classes and _numbers(row).warn
    ]
    expect(flagged)
    page.reload()
    expect(flagged)
    page.locator("input").fill("NODE_3")
    expect([row for row in flagged if "node_3" in row.name])
    page.locator("button[data-is='']").click()
    page.locator("input").fill("")
    expect(by_tissue)
    page.locator("[data-is=failed]").first.click()
    expect([])
    if page.locator("section tr:visible").count() != len(rows) - len(done):
        raise SystemExit("the failed slides are not shown")


def _numbers(row: SlideRow) -> Any:
    """Return what was found on a slide that is done."""
    return row.found


def main() -> None:
    """Write the report, open it, measure, take pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--browser", help="a Chromium other than playwright's own")
    parser.add_argument("--pictures", type=Path, help="folder for screenshots and PDF")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "300 slides"
        folder.mkdir()
        rows = made_up(folder, asked.rows)
        write_tables(folder, rows)
        browser = playwright.chromium.launch(
            executable_path=asked.browser, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=WINDOW)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        report = folder / REPORT
        fresh(page, report)
        figures = {
            "browser": f"Chromium {browser.version}",
            "rows": asked.rows,
            "page_kb": report.stat().st_size / 1000,
            **measured(page, report, asked.repeats),
        }
        check(page, report, rows)
        if asked.pictures:
            take_pictures(page, report, asked.pictures)
        if errors:
            raise SystemExit("\n".join(errors))
        browser.close()
    tell(figures, asked.json)


def take_pictures(page: Page, report: Path, pictures: Path) -> None:
    """Save the page as opened, filtered, with a command shown, and as PDF."""
    pictures.mkdir(parents=True, exist_ok=True)
    fresh(page, report)
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "cohort.png")
    with Image.open(pictures / "cohort.png") as picture:
        few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(pictures / "cohort.png", optimize=True)
    page.pdf(path=pictures / "report.pdf", prefer_css_page_size=True)
    page.locator("summary").first.click()
    page.locator("[data-is=undecided]").first.click()
    page.locator("#slides th button").nth(3).click()
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "filtered.png")


if __name__ == "__main__":
    main()

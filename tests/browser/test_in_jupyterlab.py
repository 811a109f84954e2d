"""`make test-browser`: notebooks in JupyterLab in a real browser, from the Run menu to a slider that moves.

nbval compares what a kernel answers. That a browser shows it, and that the widget lives, only a browser can tell.
Plain `pytest` leaves this folder out (tests/conftest.py). Screenshots and JupyterLab's log lie in outputs/browser/.
"""

import re
import shutil
import time

import nbformat
import pytest
from lab_driver import ROOT, Lab, Server, changed, pixels
from playwright.sync_api import sync_playwright

from tools import browser as chromium

SHOTS = ROOT / "outputs" / "browser"
NOTEBOOKS = ["00_start_here", "06_masked_decoder"]  # no torch; a frame under a slider, and a picture that is computed
WIDGETS = [  # of the notebooks that are not opened here, and need no torch
    "from bivm_ref import clips, viz_bits, viz_metrics",
    "viz_metrics.damage_slider(clips.procedural_clip(1, 2, 48, 64))",
    "viz_bits.bit_flipper([True, False] * 4, [True] * 8)",
]
BROKEN = ["print('the first')", "1 / 0", "print('the third')"]
MOVED = 0.005  # share of the picture's pixels: far above what drawing it twice differs by


def write(file, sources, *prose):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells += [nbformat.v4.new_markdown_cell(source) for source in prose]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), file)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")  # what JupyterLab saves must not reach the checkout
    write(folder / "notebooks" / "widgets.ipynb", WIDGETS)
    write(folder / "notebooks" / "broken.ipynb", BROKEN, "Not **bold **, and `code with **` may.")
    shutil.rmtree(SHOTS, ignore_errors=True)  # those of another day
    SHOTS.mkdir(parents=True)
    with Server(folder, SHOTS / "jupyterlab.log") as server:
        yield server


@pytest.fixture(scope="session")
def window():
    program, _ = chromium.ready()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(90_000)  # of a click, say: a machine may have more to do
        yield context
        browser.close()


@pytest.fixture
def page(window, request):
    """A fresh page; what it showed last is kept when a test fails."""
    page = window.new_page()
    failed = request.session.testsfailed
    yield page
    if request.session.testsfailed > failed:
        page.screenshot(path=SHOTS / f"failed-{re.sub(r'[^a-z0-9]+', '_', request.node.name)}.png")
    page.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_from_opening_to_its_widget(name, server, page):
    lab = Lab(page, server, f"{name}.ipynb")
    committed = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    drawn = lab.pictures()
    assert [cell for cell, _ in drawn] == [i for i, cell in enumerate(committed) for _ in pictures_of(cell)]
    assert drawn and all(width for _, width in drawn)
    assert lab.errors() == []  # an output that only a living kernel could show would be one
    lab.screenshot(SHOTS / f"{name}-opened.png")

    lab.run_all()
    lab.screenshot(SHOTS / f"{name}-run.png")
    assert lab.errors() == []
    assert lab.prompts() == [f"[{i}]:" for i in range(1, len(lab.prompts()) + 1)]
    assert lab.pictures() == drawn  # as many, as wide, in the same cells
    assert lab.raw_markup() == [] and lab.overflowing() == []

    widget = lab.widget()
    above = [cell for cell, _ in drawn if 0 < lab.cell_of(widget) - cell <= 2]
    assert above, "the static twin stands above the widget, for readers without one"
    assert any(len(alt.split()) >= 4 for alt in pictures_of(committed[above[-1]]))

    image, handle = widget.locator(".widget-image"), widget.locator(".noUi-handle").first
    handle.press("Home")
    page.wait_for_timeout(2000)  # it may stand there already: then nothing changes that could be waited for
    before = pixels(image, SHOTS / f"{name}-slider-left.png")
    assert before.std() > 10, "the widget's picture is blank"
    handle.press("End")
    after = until(lambda: pixels(image, SHOTS / f"{name}-slider-right.png"), lambda p: changed(before, p) > MOVED)
    assert changed(before, after) > MOVED
    handle.press("Home")  # and it is the slider that decides: back is as before
    back = until(lambda: pixels(image), lambda p: changed(before, p) < MOVED / 10)
    assert changed(before, back) < MOVED / 10


def test_the_words_on_the_other_widgets_are_whole(server, page):
    """Labels and buttons: JupyterLab cuts off what does not fit."""
    lab = Lab(page, server, "widgets.ipynb")
    lab.run_all()
    assert lab.errors() == []
    page.locator(".jp-OutputArea-output .jupyter-button, .jp-OutputArea-output .widget-slider").last.wait_for()
    lab.screenshot(SHOTS / "widgets.png")
    assert lab.overflowing() == []


def pictures_of(cell) -> list[str]:
    """The alternative text of each picture among a cell's outputs, as the file has it: JupyterLab 4.6 shows none."""
    outputs = cell.get("outputs", [])
    return [out.metadata.get(kind, {}).get("alt", "")
            for out in outputs for kind in out.get("data", {}) if kind in ("image/png", "image/jpeg")]


def until(look, enough, seconds: float = 30):
    """What `look` sees when it is enough, or at the end."""
    end = time.monotonic() + seconds
    while not enough(seen := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return seen


def test_the_checks_see_an_error_and_raw_markup(server, page):
    """Without this, a new JupyterLab that names its elements otherwise would let everything pass."""
    lab = Lab(page, server, "broken.ipynb")
    assert lab.raw_markup() == ["**", "**"]
    lab.run_all()
    assert lab.errors() == ["ZeroDivisionError: division by zero"]
    assert lab.prompts()[-1] != "[3]:"

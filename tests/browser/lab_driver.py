"""JupyterLab in a browser, for the tests: a server with nobody's settings, and one page driven as a student would."""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240  # for a whole notebook, on a slow machine
# Of JupyterLab, where it differs from what a student has: no questions about news, and cells outside the window stay
# in the page, where they can be looked at.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


class Server:
    """`with Server(folder, log) as server:` a JupyterLab of this Python that serves folder/notebooks, on a port and
    with a token of its own. What it keeps lies in `folder`, what it says in `log`."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log, self.token = folder, log, secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Server:
        for name, settings in SETTINGS.items():
            file = self.folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
                   f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
                   f"--ServerApp.root_dir={self.folder / 'notebooks'}", "--LabApp.extension_manager=readonly"]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, env=self.environment(), cwd=self.folder, stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)
        self.wait()
        return self

    def environment(self) -> dict[str, str]:
        """Less what a reader has set for Jupyter; and the kernels import the package of this checkout."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON", "MPL"))}
        places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
                  "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
                  "IPYTHONDIR": "ipython"}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {**kept, **{name: str(self.folder / place) for name, place in places.items()},
                "JUPYTER_TOKEN": self.token, "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": path}

    def wait(self) -> None:
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise RuntimeError(f"JupyterLab did not start; {self.log} ends:\n"
                                       + "\n".join(self.log.read_text().splitlines()[-15:])) from None
                time.sleep(0.2)

    def url(self, notebook: str) -> str:
        """Its page, in a fresh workspace."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?reset&token={self.token}"

    def __exit__(self, *_) -> None:
        self.process.terminate()  # it ends its kernels, too
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# Prose as it is shown, code and formulas left out: what is left of Markdown's or LaTeX's own signs was not rendered.
RAW_MARKUP = r"""() => [...document.querySelectorAll('.jp-MarkdownOutput')].flatMap(shown => {
    const prose = shown.cloneNode(true);
    prose.querySelectorAll('code, pre, mjx-container').forEach(part => part.remove());
    return prose.textContent.match(/\*\*|`|\$\S|\\[a-z]{2,}|<\/?[a-z]+>|\]\(|^#+ |^\|.*\|$/gm) ?? [];
})"""
# JupyterLab 4.6 draws an error as it draws stderr. A notebook of ours that ran well has neither.
ERRORS = """() => [...document.querySelectorAll(
    '[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type="application/vnd.jupyter.error"], ' +
    '.jupyter-widgets-error-widget')]
    .map(shown => shown.innerText.trim().split('\\n').at(-1))"""
PICTURES = """() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].flatMap((cell, number) =>
    [...cell.querySelectorAll('.jp-OutputArea-output img:not(.widget-image)')].map(
        image => [number, image.naturalWidth]))"""
# Wider than the place that they have: a picture, a table, a line that cannot be broken, a widget's words.
OVERFLOWING = """() => [...document.querySelectorAll(
    '.jp-OutputArea-output, .jp-MarkdownOutput, .widget-label, .widget-readout, .jupyter-button')]
    .filter(shown => shown.scrollWidth > shown.clientWidth + 1).map(shown => shown.innerText.slice(0, 60))"""


class Lab:
    """One notebook, open in a page of a browser (playwright's)."""

    def __init__(self, page, server: Server, notebook: str) -> None:
        self.page = page
        page.goto(server.url(notebook))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=90_000)
        page.get_by_text("| Idle").wait_for(timeout=90_000)  # the status line: the kernel is there

    def menu(self, *names: str) -> None:
        """Click through the menus: menu("Run", "Run All Cells")."""
        self.page.locator(".lm-MenuBar-item", has_text=names[0]).click()
        for name in names[1:]:
            self.page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()

    def prompts(self) -> list[str]:
        """Of every code cell, in order: "[ ]:" not run, "[*]:" waiting or running, "[3]:" run as the third."""
        return self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").all_inner_texts()

    def run_all(self) -> None:
        """Every cell from a fresh start of the outputs, and wait until all ran, or one failed."""
        self.menu("Edit", "Clear Outputs of All Cells")
        assert set(self.prompts()) == {"[ ]:"}
        self.menu("Run", "Run All Cells")
        end = time.monotonic() + SECONDS
        while "[*]:" in (prompts := self.prompts()) or ("[ ]:" in prompts and not self.errors()):
            if time.monotonic() > end:
                raise TimeoutError(f"not done after {SECONDS} s: {' '.join(prompts)}")
            time.sleep(0.5)

    def errors(self) -> list[str]:
        """The last line of each error, or of what was written to stderr, that is shown."""
        return self.page.evaluate(ERRORS)

    def raw_markup(self) -> list[str]:
        return self.page.evaluate(RAW_MARKUP)

    def overflowing(self) -> list[str]:
        return self.page.evaluate(OVERFLOWING)

    def pictures(self) -> list[list[int]]:
        """[cell, width] of the pictures among the outputs, those of widgets left out: the cell counted from 0, prose
        included; the width in the picture's own pixels, 0 when it cannot be drawn."""
        return self.page.evaluate(PICTURES)

    def widget(self):
        """The output area of the first cell that shows a slider."""
        slider = self.page.locator(".jp-OutputArea-output:has(.widget-slider)").first
        slider.scroll_into_view_if_needed()
        return slider

    def cell_of(self, locator) -> int:
        return locator.evaluate("""inside => [...document.querySelectorAll('.jp-Notebook .jp-Cell')]
                                   .indexOf(inside.closest('.jp-Cell'))""")

    def screenshot(self, file: Path) -> None:
        """The whole notebook, not just what the window shows of it."""
        size = self.page.viewport_size
        panel = self.page.locator(".jp-WindowedPanel-outer")
        height = panel.evaluate("panel => panel.scrollHeight")
        self.page.set_viewport_size({**size, "height": min(height + 200, 16_000)})  # more cannot be drawn at once
        self.page.wait_for_timeout(500)
        panel.evaluate("panel => { panel.scrollTop = 0 }")
        self.page.screenshot(path=file)
        self.page.set_viewport_size(size)


def pixels(locator, file: Path | None = None) -> np.ndarray:
    """What an element looks like -> (H, W, 3) int16; kept as a PNG file if one is named."""
    data = locator.screenshot(path=file)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)


def changed(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pixels that differ to the eye, by 16 of 255 levels and more; 1 for two sizes."""
    return float((np.abs(a - b).max(axis=2) >= 16).mean()) if a.shape == b.shape else 1.0

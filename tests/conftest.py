"""Shared by every test: plots are drawn off screen, and the notebooks' run times are printed at the end."""

import re
from collections import defaultdict

import matplotlib

# Chosen here and not through MPLBACKEND: that variable would reach the kernels that the notebook tests start,
# replace Jupyter's inline backend there, and every figure would vanish from the output.
matplotlib.use("Agg")

collect_ignore = ["browser"]  # `make test-browser` names it: it needs a browser, and the extra of that name

seconds = defaultdict(float)  # {(notebook, mode): run time}


def pytest_runtest_logreport(report):
    """nbval's cells run in fast mode, a papermill test in full mode."""
    if cell := re.search(r"([^/]+)\.ipynb::", report.nodeid):
        seconds[cell[1], "fast"] += report.duration
    elif full := re.search(r"::test_full_mode_runs\[(.+)\]", report.nodeid):
        seconds[full[1], "full"] += report.duration


def pytest_terminal_summary(terminalreporter):
    if not seconds:
        return
    terminalreporter.section("run time of the notebooks, seconds")
    terminalreporter.write_line(f"{'':28}{'fast':>8}{'full':>8}")
    for name in sorted({name for name, _ in seconds}):
        times = (f"{seconds[name, mode]:8.1f}" if (name, mode) in seconds else f"{'':8}" for mode in ("fast", "full"))
        terminalreporter.write_line(f"{name:28}{''.join(times)}".rstrip())

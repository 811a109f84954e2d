"""Shared by every test: plots are drawn off screen, Ctrl-C is heard, and the notebooks' run times are printed at the
end."""

import re
import signal
from collections import defaultdict

import matplotlib

# Chosen here and not through MPLBACKEND: that variable would reach the kernels that the notebook tests start,
# replace Jupyter's inline backend there, and every figure would vanish from the output.
matplotlib.use("Agg")

# A job that a shell put into the background begins with Ctrl-C ignored, and so does all that it starts: tests of Ctrl-C
# would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["browser"]  # `make test-browser` names it: it needs a browser, and the extra of that name


class RunTimes:
    """Of every notebook: nbval runs its cells in fast mode, a papermill test all of it in full mode."""

    def __init__(self):
        self.seconds = defaultdict(float)  # {(notebook, mode): run time}

    def pytest_runtest_logreport(self, report):
        if cell := re.search(r"([^/]+)\.ipynb::", report.nodeid):
            self.seconds[cell[1], "fast"] += report.duration
        elif full := re.search(r"::test_full_mode_runs\[(.+)\]", report.nodeid):
            self.seconds[full[1], "full"] += report.duration

    def pytest_terminal_summary(self, terminalreporter):
        if not self.seconds:
            return
        terminalreporter.section("run time of the notebooks, seconds")
        terminalreporter.write_line(f"{'':28}{'fast':>8}{'full':>8}")
        for name in sorted({name for name, _ in self.seconds}):
            times = (self.seconds.get((name, mode)) for mode in ("fast", "full"))
            terminalreporter.write_line(f"{name:28}" + "".join(f"{t:8.1f}" if t else f"{'-':>8}" for t in times))


def pytest_configure(config):
    config.pluginmanager.register(RunTimes())  # the hooks of this file itself would not see notebooks/

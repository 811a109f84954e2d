"""A pytest plugin for a machine without torch: the packed tests run, those that only compare with torch are skipped.

torch under emulation would be a large download to prove what x86-64 has proved already. So torch and the packages
of bivm_ref that need it can be imported here, and the first use of anything in them skips the test. Where torch
was one oracle of several for the whole numbers of a convolution (`torch_dot`), plain NumPy takes its part: those
tests run in full.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections import Counter

import numpy as np
import pytest

NOT_HERE = ("torch", "bivm_ref.net", "bivm_ref.learn")
counts: Counter[str] = Counter()


class Absent(types.ModuleType):
    """Anything that belongs to torch: it can be imported and named, and to call it skips the test."""

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *_args, **_options) -> None:
        pytest.skip(f"compares with {self.__name__}", allow_module_level=True)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import torch` and the like with an `Absent`."""

    def find_spec(self, name, path=None, target=None):
        if any(name == package or name.startswith(package + ".") for package in NOT_HERE):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module) -> None:
        pass


def plain_dot(x: np.ndarray, w: np.ndarray, stride: int) -> np.ndarray:
    """x (H, W, cin) and w (cout, cin, k, k) of -1 and +1 -> (Ho, Wo, cout) int64, what lies outside adding 0.
    The sums are whole numbers far below 2^53, so float64 adds them exactly."""
    height, width, _ = x.shape
    reach = w.shape[2] // 2
    padded = np.pad(x.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)))
    taps = w.astype(np.float64).transpose(2, 3, 1, 0)
    total = sum(padded[i:i + height:stride, j:j + width:stride] @ taps[i, j]
                for i in range(w.shape[2]) for j in range(w.shape[3]))
    return total.astype(np.int64)


# -- pytest's hooks --

def pytest_configure(config) -> None:
    sys.meta_path.insert(0, Finder())


def pytest_collection_modifyitems(items) -> None:
    for module in {item.module for item in items}:
        if hasattr(module, "torch_dot"):
            module.torch_dot = plain_dot


def pytest_runtest_logreport(report) -> None:
    if report.when == "call" or report.outcome != "passed":
        counts[report.outcome] += 1


def pytest_sessionfinish(session, exitstatus) -> None:
    if not counts["passed"] and not exitstatus:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED  # all skipped: nothing was tested


def pytest_unconfigure(config) -> None:
    # Without pytest's own closing line: it ends in a time, and an emulated time is nobody's time.
    print(f"\ntest-arm64: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped "
          "(they compare with torch, which is not emulated)", flush=True)

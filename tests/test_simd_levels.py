"""The same numbers whatever the processor: with every SIMD level that NumPy found here switched off in turn.

NumPy picks loops for the processor when it is imported, so each level is a process of its own. What aarch64 gives is
compared by `make test-arm64`.
"""

import os
import subprocess
import sys

import numpy as np

DIGEST = """
import hashlib, sys
import numpy as np
from bivm_ref.packed import PackedBiVM
frames = np.load(sys.argv[1])
sha = hashlib.sha256()
for kernel in ("xor", "table", "table4"):
    net = PackedBiVM.load(kernel=kernel, size=64)
    net.record = {}
    for frame in frames:
        for array in (*net.step(frame), *net.state, net.mask, net.coarse_alpha):
            sha.update(np.ascontiguousarray(array).tobytes())
        for name in sorted(net.record):
            dots = net.record[name]
            sha.update(np.ascontiguousarray(dots[2] if isinstance(dots, tuple) else dots).tobytes())
print(sha.hexdigest())
"""


def digest(frames, disabled: list[str]) -> str:
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", DIGEST, frames], env=environment, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_simd_level_gives_the_same_bits(tmp_path) -> None:
    path = tmp_path / "frames.npy"
    y, x = np.mgrid[:72, :120]
    np.save(path, np.stack([np.stack((2 * x + 9 * t, 255 - 3 * y, (x * y + t) % 251), -1) for t in range(2)])
            .astype(np.uint8))
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    everything = digest(path, [])
    assert len(everything) == 64
    for first in range(len(found)):  # from this level up, none
        assert digest(path, found[first:]) == everything, f"without {found[first:]}"

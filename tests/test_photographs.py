"""The tool that cuts four photographs out: boxes by hand, and which pixels of a mask are believed."""

from pathlib import Path

import numpy as np

from tools import photographs as tool

ROOT = Path(__file__).resolve().parent.parent


def test_a_part_is_cut_by_shares():
    image = np.arange(10 * 20 * 3).reshape(10, 20, 3)
    assert np.array_equal(tool.part(image, (0.25, 0.5, 1, 0.8)), image[5:8, 5:20])
    assert np.array_equal(tool.part(image, (0, 0, 1, 1)), image)


def test_a_mask_is_believed_away_from_its_edge_alone():
    mask = np.zeros((500, 400), np.float32)
    mask[:, 200:] = 1.0
    mask[100:120, 300:320] = 0.5  # a doubt in the middle of somebody
    trimap = tool.trimap_of(mask)
    reach = 4  # round(0.008 * 500) pixels to each side
    assert (trimap[:, : 200 - reach] == 0).all() and (trimap[200:, 200 + reach:] == 1).all()
    assert (trimap[:, 200 - reach : 200 + reach] == 0.5).all()
    assert (trimap[100 - reach : 120 + reach, 300 - reach : 320 + reach] == 0.5).all()
    assert set(np.unique(trimap)) == {0, 0.5, 1}


def test_boxes_lie_within_and_one_still_is_all_that_is_used():
    for used, stills, places in tool.PHOTOGRAPHS.values():
        for left, top, right, bottom in (used, *stills, *places):
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        assert sum((right - left) * (bottom - top) == 1 for left, top, right, bottom in stills) == 1  # one is all of it

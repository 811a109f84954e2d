"""The tool that cuts people out of photographs: boxes by hand, which pixels of a mask are believed, what is fetched."""

import csv
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bivm_ref.errors import UserError
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


def packed(path: Path, **files: bytes) -> Path:
    """A package as npm has it: a gzipped tar of package/..."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def row(name: str, data: bytes) -> dict[str, str]:
    return {"use": "people", "file": name, "sha256": hashlib.sha256(data).hexdigest()[:16]}


def test_the_listed_files_are_taken_and_no_others(tmp_path):
    file = packed(tmp_path / "a.tgz", one=b"1", two=b"22", three=b"333")
    assert {wanted["file"]: data for wanted, data in tool.listed([row("one", b"1"), row("three", b"333")], file)} == {
        "one": b"1", "three": b"333"}


@pytest.mark.parametrize(("rows", "said"), [([row("one", b"another")], "one is not the photograph"),
                                            ([row("four", b"4")], "package/four is not in it")])
def test_another_package_than_the_list_says_is_refused(tmp_path, rows, said):
    with pytest.raises(UserError, match=said):
        list(tool.listed(rows, packed(tmp_path / "a.tgz", one=b"1", two=b"22")))


def test_half_a_package_and_a_changed_one_are_refused(tmp_path):
    whole = packed(tmp_path / "a.tgz", one=np.random.default_rng(0).bytes(10_000)).read_bytes()
    for size in (0, 40, len(whole) // 2):
        (tmp_path / "b.tgz").write_bytes(whole[:size])
        with pytest.raises(UserError, match="not a whole package"):
            list(tool.listed([row("one", b"")], tmp_path / "b.tgz"))
    for byte in range(20, len(whole) - 8, 997):  # one that was changed on the way: found by gzip, tar or the digest
        (tmp_path / "b.tgz").write_bytes(whole[:byte] + bytes([whole[byte] ^ 255]) + whole[byte + 1:])
        with pytest.raises(UserError, match="; delete"):
            list(tool.listed([row("one", np.random.default_rng(0).bytes(10_000))], tmp_path / "b.tgz"))


def test_a_package_is_fetched_once_and_never_by_halves(tmp_path, monkeypatch):
    (tmp_path / "@web/kit/-").mkdir(parents=True)
    (tmp_path / "@web/kit/-/kit-1.2.0.tgz").write_bytes(b"packed")
    monkeypatch.setattr(tool, "REGISTRY", tmp_path.as_uri())
    got = tool.package("@web/kit", "1.2.0", tmp_path / "cache")
    assert got == tmp_path / "cache/web-kit-1.2.0.tgz" and got.read_bytes() == b"packed"
    monkeypatch.setattr(tool, "REGISTRY", (tmp_path / "gone").as_uri())
    assert tool.package("@web/kit", "1.2.0", tmp_path / "cache") == got  # kept: no need of the registry
    with pytest.raises(UserError, match="kit-1.3.0.tgz: cannot be fetched .*; look at the connection"):
        tool.package("@web/kit", "1.3.0", tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["web-kit-1.2.0.tgz"]


def test_a_photograph_is_kept_whole_and_cut_out(tmp_path, monkeypatch):
    """A cut-out that came cut stays as it is; of a photograph both are written, with one alpha."""
    photograph = Image.new("RGB", (40, 30), (200, 100, 50))
    came_cut = Image.new("RGBA", (40, 30), (9, 9, 9, 0))
    came_cut.paste((90, 80, 70, 255), (10, 5, 30, 30))
    files = {}
    for name, image in (("people/a.png", photograph), ("people/b.png", came_cut), ("places/c.png", photograph)):
        image.save(tmp_path / "image.png")
        files[name] = (tmp_path / "image.png").read_bytes() + name.encode()  # two of them differ in their name alone
    (tmp_path / "kit/-").mkdir(parents=True)
    packed(tmp_path / "kit/-/kit-1.0.0.tgz", **files)
    with (tmp_path / "list.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["use", "package", "version", "file", "sha256"], delimiter="\t")
        writer.writeheader()
        writer.writerows({**row(name, data), "use": name[:6], "package": "kit", "version": "1.0.0"}
                         for name, data in files.items())
    alpha = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))

    def cut(image):
        return np.dstack([np.full_like(image, 7), alpha])

    monkeypatch.setattr(tool, "LIST", tmp_path / "list.tsv")
    monkeypatch.setattr(tool, "REGISTRY", tmp_path.as_uri())
    monkeypatch.setattr(tool, "cutter", lambda: cut)
    monkeypatch.setattr(tool, "HELD_OUT", "none")
    tool.templates(tmp_path / "out", tmp_path / "cache")
    names = {name: f"npm_{row(name, data)['sha256']}.png" for name, data in files.items()}
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")}
    assert made == {f"{name[:6]}/{file}" for name, file in names.items()} | {f"whole/{names['people/a.png']}"}
    whole = np.asarray(Image.open(tmp_path / "out/whole" / names["people/a.png"]))
    assert (whole[..., :3] == (200, 100, 50)).all() and (whole[..., 3] == alpha).all()  # its own colours everywhere
    assert (np.asarray(Image.open(tmp_path / "out/people" / names["people/a.png"])) == cut(whole[..., :3])).all()
    assert (np.asarray(Image.open(tmp_path / "out/people" / names["people/b.png"])) == np.asarray(came_cut)).all()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    tool.templates(tmp_path / "out", tmp_path / "cache")
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    monkeypatch.setattr(tool, "HELD_OUT", tuple("0123456789abcdef"))  # a photograph that is held out is nowhere else
    tool.templates(tmp_path / "out 2", tmp_path / "cache")
    made = {path.relative_to(tmp_path / "out 2").as_posix() for path in (tmp_path / "out 2").rglob("*.png")}
    assert made == {f"held_out/{names['people/a.png']}", f"people/{names['people/b.png']}",
                    f"places/{names['places/c.png']}"}


def test_the_list_names_each_photograph_once():
    with tool.LIST.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len({r["sha256"] for r in rows}) == len(rows) == 1001
    assert [sum(r["use"] == use for r in rows) for use in ("people", "places")] == [649, 352]
    packages = [(r["package"], r["version"]) for r in rows]
    assert len(set(packages)) == 195 and packages == sorted(packages)  # in one piece each: read once


def test_a_photograph_is_reduced_and_never_enlarged():
    assert tool.reduced(Image.new("RGB", (1000, 400)), 640).size == (640, 256)
    assert tool.reduced(Image.new("RGB", (300, 360)), 640).size == (300, 360)


def test_an_opaque_alpha_is_no_cut_out():
    opaque = Image.new("RGBA", (4, 4), (9, 9, 9, 255))
    assert not tool.is_cut_out(opaque) and not tool.is_cut_out(Image.new("RGB", (4, 4)))
    opaque.putpixel((0, 0), (0, 0, 0, 0))
    assert tool.is_cut_out(opaque)

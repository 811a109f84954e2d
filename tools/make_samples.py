"""Build the clips of data_samples/, or check that they still come out the same.

    python tools/make_samples.py [procedural|rendered|portrait|astronaut|all] [--check]

Every clip is a folder: com.mp4 (24 frames, 512x288, 24 frames per second, H.264), pha/0000.png … (the
reference alpha, 8-bit grey) and, for three of them, source/ with what the clip is made of. Building writes the
clips, samples.json (the SHA-256 of every clip's pixels) and the sums in README.md. Checking writes nothing:
it rebuilds the clips in memory and compares the alpha with the stored one, pixel for pixel, and the frames
*before* encoding with their sum in samples.json, because encoders differ from version to version.

The photographs need matplotlib and scikit-image, whose wheels carry them, and pymatting:
`pip install -e '.[dev,notebooks]'`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bivm_ref.clips import background_clip, procedural_clip, still_clip
from bivm_ref.errors import UserError
from bivm_ref.images import image_paths, read_image
from bivm_ref.video import ImageFolderWriter, VideoWriter

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
FRAMES, HEIGHT, WIDTH, FPS = 24, 288, 512, 24
Pixels = tuple[np.ndarray, np.ndarray]  # frames (T, H, W, 3) uint8 RGB, alpha (T, H, W) uint8

FIGURE_SEED, BACKGROUND_SEED = 10_000_312, 10_000_030  # in clips.HELD_OUT: never trained on
RENDERED_SEED = 10_000_023
PERSON, SCENE = "h000052.webp", "b000009.jpg"  # people below 60 and scenes below 10 are never trained on


def to_bytes(alpha: np.ndarray) -> np.ndarray:
    """Alpha in [0, 1] → uint8, rounded."""
    return np.rint(alpha * 255).astype(np.uint8)


# ── 1 and 2: clips whose alpha is known by construction ──────────────────────────────────────

def procedural(frames: int = FRAMES) -> Pixels:
    """A painted figure with loose hair under a veil, before a pattern that shows through it."""
    background = background_clip(BACKGROUND_SEED, frames, HEIGHT, WIDTH)
    clip = procedural_clip(FIGURE_SEED, frames, HEIGHT, WIDTH, background, noise=False)
    return clip.frames, to_bytes(clip.alpha)


def rendered(frames: int = FRAMES) -> Pixels:
    """A rendered person set in motion over a rendered room."""
    source = SAMPLES / "rendered" / "source"
    with Image.open(source / PERSON) as person, Image.open(source / SCENE) as scene:
        still, room = np.asarray(person.convert("RGBA")), np.asarray(scene.convert("RGB"))
    background = background_clip(RENDERED_SEED, frames, HEIGHT, WIDTH, room)
    clip = still_clip(still, RENDERED_SEED, frames, HEIGHT, WIDTH, background, noise=False)
    return clip.frames, to_bytes(clip.alpha)


# ── 3 and 4: photographs, their alpha by closed-form matting from trimaps drawn by hand ──────

# Outlines of the sitters in pixels of the photographs, clockwise from the lower left. Each stretch has the half-width
# of the unknown band along it: wide where hair is soft, narrow where black cloth lies before a dark flag and colour
# alone would mislead the solver.
HOPPER_OUTLINE = [
    (2.5, """11.5,606 11.5,600 13,588 15,570 16.5,550 17.5,535 19,520 21,500 23.5,480 26,463 28,445 29.5,436
             31.5,428 35,418 38,411 41.5,400 44.5,392 49,385.5 54,381.5 58,380 62,379.5 66,376.5 71,373 80,369
             91,366 100,363.2 110,362.5 120,360.5 131,355.5 144,351 157,346.5 167,343 176,338.5 185,333
             191,325.5 197,319 202,314 203.5,311.5"""),  # sleeve and shoulder before the flag
    (2.5, "203,307 201.5,302 200.5,298.5"),  # jaw
    (3.5, "195,297 188,293.5 180,289.5 172,285.5"),  # hair behind the jaw
    (5.0, "167.5,282.5 164,278 161.5,273 160.5,267 158.5,260 158.5,252 159,245 160,238"),  # hair by the lobe
    (2.0, "161,232 160.5,228 158.5,224.5 155.3,220 154,215 153.2,208 152.5,200 153.5,194"),  # ear
    (2.5, "155.5,189 156.5,186"),  # sideburn
    (1.5, """155,183.5 152,181.5 150.4,178 150.2,112 153,110.5 156,106 158,100 163,93.5
             169,88.5"""),  # black brim before the dark blue of the flag
    (2.5, "173.5,85.3 174,80 177,72 180,65.5 185,59 191,53.5 198,48.5 208,43 219,39.7 220.5,35"),  # crown
    (1.5, "224,32 230,29 236,26 243,24"),  # cap band before the flag
    (2.5, """253,22.5 262,23 272,24.5 282,28 290,33 296,37.5 299.5,41 305,41.5 315,44.5 325,50 335,56 342,62.5
             348,70.5 352,78 354,86.5 358,86 362.5,87 366,91 368.5,99 369.5,110 370,122 371,132 372,140
             371.5,148 370.5,157 369.5,167 368.5,175 367,180.5 369.5,183 372.5,187 374.8,193 375.8,200
             375,208 373,214 371.5,220 369.5,230 367.5,240 365.8,247 364,254"""),  # cap and ear
    (5.0, """362,260 361.5,267 361.5,274 359.5,280 356,286 351,293 346,299 341,304.5 336.5,306.5
             332.5,304.5"""),  # hair
    (2.5, """331,303 330.5,306 330.2,312 331,312.5 335,318 339,322 345,326 352,332 361,340 367,343 378,347.5
             390,352 404,357.5 414,362 423,366.5 437,369.5 450,372 462,376 472,380.5 481,386 483.5,388.8
             487,388.8 492,391.5 495.5,397.5 498,406 501,417 505,428 509,439 511.5,448
             516,458"""),  # shoulder
]
HOPPER_STRAY_HAIRS = "368,164 374,163 390,176 390,196 377,197 372,186 366,180"  # unknown too, right of the brim

# Eileen Collins; the helmet that she holds belongs to the foreground.
COLLINS_OUTLINE = [
    (2.0, """41,518 36,508 30,497 26.5,480 24,462 23.3,448 23.8,434 21.5,420 20,410 19.2,400 20,391 22.5,383.5
             25,378.5 25.3,362 25.5,350 27,342 29,333 31.5,330 34,318.5 36,311.5 38.8,304 39.8,299 40.5,292 43,285
             45.5,279 49,270 53,265.5 56,258 61,250.5 66.5,245 73,239.5 80,235.2 90,228.2 100,220 106,212.5
             111.5,206.5"""),  # sleeve and shoulder before the flag
    (2.5, "113.5,203 114,198 116,195 113,191 113,186.5 117,185 120.5,186.5 123,181"),  # latch of the collar ring
    (2.0, """124.5,176 125.5,171 128.5,165 134,159 141,154.5 150,151 160,149 170,148 180,148
             184.5,148.5"""),  # collar ring
    (2.0, "183,143 182.2,137 181.8,132 178,131.3 174.5,128.5 172,124 170.5,119.5"),  # jaw and ear
    (5.0, """166,115 160,109.5 157,104 155.3,98 154.5,91 154,84 153.2,75 153.4,68 155.5,61.5 159,55.5 165,49.5
             172,44.5 180,40 187.5,37 191,32.5 196,27.5 203,23.5 210,21 217,19 224,17 231,15.8 238,16 247,18.3
             256,21.2 263,24.3 270,28 276,32 283,38 288.5,44.5 293.5,52.5 297,60 299.5,68 301,76 301.7,84 301,92
             299,100 296,108 290.5,116.5 285.5,122.5 280.5,127 276,129.5"""),  # hair
    (2.0, """275,132.5 272,135.5 268.5,136.8 266.8,136.5 266.3,143 264.2,150 261.3,156 258.2,160.5 256.5,167
             255,172.8"""),  # ear and jaw
    (2.0, """258,175.3 263.5,178.5 270.5,183.5 278.5,190 286.5,198.3 293.5,207.5 299,217 302.3,225
             304.3,233.5"""),  # collar ring
    (2.0, """306,234.8 312,238 320,242 328,249 336,255 341,261.5 345,270 348,278 350,283 353.3,284.3 355,292
             357.2,300 358.3,310 360,322 362.8,331 361.5,333.5 362.5,340 366,347.2"""),  # shoulder and its badge
    (2.0, """370,348 378,346 390,344 400,343.3 412,343.8 420,345 430,348 440,352 450,357 460,363.3 470,372
             478,381.5 484.5,391 490,402 494,415 496,430 497.2,445"""),  # helmet before the black cloth
    (1.5, """497.5,450 498.5,453.5 503,455 503.3,459 502,462 505.5,466 507,472 507,479 509,484
             516,486"""),  # its hinge
]


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def matplotlib_image(name: str) -> Path:
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data(name, asfileobj=False))


def skimage_image(name: str) -> Path:
    import skimage.data

    return Path(skimage.data.__file__).parent / name


@dataclass(frozen=True)
class Photograph:
    """A photograph of somebody, where it comes from, who stands out in it, and how a camera moves over it.

    file       returns its path, in the wheel of a package
    sha256     of that file: the outline is of this photograph and no other
    outline    see above; corner closes it beyond the photograph's edge; stray: a polygon that is unknown as well
    path       from where to where the camera looks: (centre x, centre y, width of the view) in pixels
    """

    name: str
    file: Callable[[], Path]
    sha256: str
    outline: list[tuple[float, str]]
    corner: tuple[int, int]
    stray: str
    path: tuple[tuple[float, float, float], tuple[float, float, float]]

    @property
    def source(self) -> Path:
        return SAMPLES / self.name / "source"

    def image(self) -> Image.Image:
        path = self.file()
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise UserError(f"{path}: another photograph than the trimap's; try another version of the package")
        return Image.open(path).convert("RGB")

    def trimap(self, width: int, height: int) -> np.ndarray:
        """The outline as a trimap (height, width) uint8: 255 foreground, 0 background, 128 unknown.

        Drawn eight times larger; a pixel is sure only if all of its 64 parts are.
        """
        fine = 8
        image = Image.new("L", (width * fine, height * fine), 0)
        pen = ImageDraw.Draw(image)

        def larger(corners):
            return [(x * fine, y * fine) for x, y in corners]

        outline = [(r, p) for r, text in self.outline for p in points(text)]
        if self.stray:
            pen.polygon(larger(points(self.stray)), fill=128)
        pen.polygon(larger([p for _, p in outline] + [self.corner]), fill=255)
        for (r, start), (_, end) in zip(outline, outline[1:]):
            (ax, ay), (bx, by) = larger([start, end])
            pen.line([ax, ay, bx, by], fill=128, width=round(2 * r * fine))
            for x, y in ((ax, ay), (bx, by)):  # round joints
                pen.ellipse([x - r * fine, y - r * fine, x + r * fine, y + r * fine], fill=128)
        parts = np.asarray(image).reshape(height, fine, width, fine)
        sure_foreground, sure_background = (parts == 255).all((1, 3)), (parts == 0).all((1, 3))
        return np.where(sure_foreground, 255, np.where(sure_background, 0, 128)).astype(np.uint8)

    def camera(self, t: float) -> tuple[float, float, float]:
        """Where the camera looks at frame t. It tilts down from the face and moves closer, gently at both ends."""
        s = t / (FRAMES - 1)
        s = s * s * (3 - 2 * s)
        return tuple(first + s * (last - first) for first, last in zip(*self.path))

    def view(self, image: Image.Image, t: float, resample: Image.Resampling) -> np.ndarray:
        """The camera's picture of the photograph, or of its alpha, at frame t: (HEIGHT, WIDTH[, 3]) uint8."""
        x, y, width = self.camera(t)
        scale = width / WIDTH
        matrix = (scale, 0, x - scale * WIDTH / 2, 0, scale, y - scale * HEIGHT / 2)  # view → image
        return np.asarray(image.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, resample))

    def __call__(self, frames: int = FRAMES) -> Pixels:
        """The photograph's own pixels under a moving camera; the alpha takes the same way."""
        photo = self.image()
        with Image.open(self.source / "alpha.png") as image:
            alpha = image.convert("L")
        seen = [self.view(photo, t, Image.Resampling.BICUBIC) for t in range(frames)]
        mattes = [self.view(alpha, t, Image.Resampling.BILINEAR) for t in range(frames)]  # never beyond 0 and 1
        return np.stack(seen), np.stack(mattes)

    def write_source(self) -> None:
        photo = self.image()
        trimap = self.trimap(*photo.size)
        self.source.mkdir(parents=True, exist_ok=True)
        Image.fromarray(trimap).save(self.source / "trimap.png", optimize=True)
        Image.fromarray(solve_alpha(photo, trimap)).save(self.source / "alpha.png", optimize=True)

    def check_source(self) -> list[str]:
        """What differs between source/ and a new drawing and solution of it."""
        photo = self.image()
        trimap = self.trimap(*photo.size)
        found = []
        if not np.array_equal(read_image(self.source / "trimap.png")[..., 0], trimap):
            found.append(f"{self.name}: source/trimap.png is not what its outline draws")
        stored = read_image(self.source / "alpha.png")[..., 0].astype(int)
        off = np.abs(stored - solve_alpha(photo, trimap)).max()
        if off > 2:  # the solver is iterative: its last digit depends on the machine
            found.append(f"{self.name}: source/alpha.png is up to {off} grey levels from pymatting's answer")
        return found


def solve_alpha(photo: Image.Image, trimap: np.ndarray) -> np.ndarray:
    """Closed-form matting (Levin, Lischinski and Weiss 2008) as in pymatting: (H, W) uint8.

    What the solver leaves within 2 % of 0 and of 1 is its residue, not hair: it is set to 0 and 1.
    """
    from pymatting import estimate_alpha_cf

    alpha = estimate_alpha_cf(np.asarray(photo) / 255, np.where(trimap == 128, 0.5, trimap / 255))
    return to_bytes(np.where(alpha < 0.02, 0, np.where(alpha > 0.98, 1, alpha)))


PHOTOGRAPHS = [
    Photograph("portrait", partial(matplotlib_image, "grace_hopper.jpg"),
               "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
               HOPPER_OUTLINE, (516, 606), HOPPER_STRAY_HAIRS, ((256, 148, 508), (266, 225, 440))),
    Photograph("astronaut", partial(skimage_image, "astronaut.png"),
               "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
               COLLINS_OUTLINE, (516, 518), "", ((256, 146, 508), (250, 204, 436))),
]


# ── building and checking ────────────────────────────────────────────────────────────────────

CLIPS: dict[str, Callable[..., Pixels]] = {"procedural": procedural, "rendered": rendered,
                                           **{photo.name: photo for photo in PHOTOGRAPHS}}


def sha256(data: bytes | np.ndarray) -> str:
    """Of a file's bytes, or of an array's in C order."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).hexdigest()


def stored_alpha(name: str) -> np.ndarray:
    """The stack of reference alphas, (T, H, W) uint8."""
    return np.stack([read_image(path)[..., 0] for path in image_paths(SAMPLES / name / "pha")])


def build(name: str) -> None:
    """Write com.mp4 and pha/ of one clip, and its sums in samples.json."""
    if isinstance(CLIPS[name], Photograph):
        CLIPS[name].write_source()
    frames, alpha = CLIPS[name]()
    with VideoWriter(SAMPLES / name / "com.mp4", FPS, (WIDTH, HEIGHT)) as video:
        for frame in frames:
            video.write(frame)
    with ImageFolderWriter(SAMPLES / name / "pha") as images:
        for matte in alpha:
            images.write(matte)
    path = SAMPLES / "samples.json"
    sums = json.loads(path.read_text()) if path.exists() else {}
    sums[name] = {"frames": len(frames), "size": [WIDTH, HEIGHT], "fps": FPS,
                  "rgb_before_encoding_sha256": sha256(frames), "alpha_sha256": sha256(alpha),
                  "com.mp4_sha256": sha256((SAMPLES / name / "com.mp4").read_bytes())}
    path.write_text(json.dumps({key: sums[key] for key in CLIPS if key in sums}, indent=2) + "\n")
    write_readme_sums({key: sums[key] for key in CLIPS if key in sums})


def write_readme_sums(sums: dict) -> None:
    """Renew the block of sums in data_samples/README.md; the rest of the page is written by hand."""
    path = SAMPLES / "README.md"
    head, found, rest = path.read_text(encoding="utf-8").partition("```sha256\n")
    if not found:
        raise UserError(f"{path}: has no block that starts with ```sha256; put one in")
    lines = [f"{s[key]}  {name}/{what}\n" for name, s in sums.items()
             for key, what in (("com.mp4_sha256", "com.mp4"), ("alpha_sha256", "pha"))]
    path.write_text(head + found + "".join(lines) + "```" + rest.partition("```")[2], encoding="utf-8")


def check(name: str) -> list[str]:
    """Rebuild one clip in memory; returns what differs from the stored one, a line each."""
    found = CLIPS[name].check_source() if isinstance(CLIPS[name], Photograph) else []
    frames, alpha = CLIPS[name]()
    stored = stored_alpha(name)
    if stored.shape != alpha.shape:
        found.append(f"{name}: {stored.shape} alphas are stored, {alpha.shape} come out")
    elif not np.array_equal(stored, alpha):
        differ = stored != alpha
        found.append(f"{name}: {differ.sum()} of {differ.size} pixels of alpha differ, by up to "
                     f"{np.abs(stored.astype(int) - alpha).max()} grey levels")
    sums = json.loads((SAMPLES / "samples.json").read_text())[name]
    if sha256(frames) != sums["rgb_before_encoding_sha256"]:
        found.append(f"{name}: the frames before encoding have another SHA-256 than samples.json says")
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the clips of data_samples/, or check them.")
    parser.add_argument("clip", nargs="?", default="all", choices=[*CLIPS, "all"], help="default: all")
    parser.add_argument("--check", action="store_true", help="rebuild in memory and compare; write nothing")
    args = parser.parse_args(argv)
    names = list(CLIPS) if args.clip == "all" else [args.clip]
    try:
        if args.check:
            found = [line for name in names for line in check(name)]
            print("\n".join(found) if found else f"{', '.join(names)}: the same pixels")
            return 1 if found else 0
        for name in names:
            build(name)
            print(f"{SAMPLES / name}: {(SAMPLES / name / 'com.mp4').stat().st_size:,} bytes of video")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

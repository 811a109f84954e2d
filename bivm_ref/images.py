"""Still images in: one file as (H, W, 3) uint8 RGB, upright, of whatever mode it was saved in."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import UserError
from .video_out import IMAGE_SUFFIXES

END_MARK = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}  # a file that was cut off lacks it
TAIL = 1024  # bytes at the end among which the mark is looked for: some cameras write a few more behind it
TURNED = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}  # EXIF's orientations, and what makes them upright
SWAPPED = (5, 6, 7, 8)  # of these, width and height change places
MAX_PIXELS = 64_000_000  # per frame; 8K video has 33 million. A frame of this size takes 192 MB as RGB


def image_paths(folder) -> list:
    """The images directly in `folder`, in natural order; hidden files are not looked at."""
    paths = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    return sorted(paths, key=lambda p: (natural_key(p.name), p.name))


def natural_key(name: str) -> list:
    """frame2 before frame10: digits compare as numbers. Odd places of the split are always digits."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def read_image(path) -> np.ndarray:
    """One image as (H, W, 3) uint8 RGB, EXIF orientation applied, alpha dropped.

    16-bit grey is scaled by 1/257, so that 65535 becomes 255. Raises UserError if unreadable or too large.
    """
    with _open_image(path) as image:
        try:
            turned = image.transpose(TURNED[way]) if (way := _orientation(image)) in TURNED else image
            return _to_rgb(turned, path)
        except UserError:
            raise
        except Exception as error:
            raise unreadable(path) from error


def image_count(path) -> int:
    """How many pictures the file holds: more than one if it is animated or has pages."""
    with _open_image(path) as image:
        try:
            return getattr(image, "n_frames", 1)
        except Exception:  # a later page is damaged: whatever Pillow makes of it, the first picture is whole
            return 1


def image_size(path) -> tuple[int, int]:
    """(width, height) as `read_image` will give it, from the header alone."""
    with _open_image(path) as image:
        return image.size[::-1] if _orientation(image) in SWAPPED else image.size


def _orientation(image) -> int:
    """EXIF's orientation, 1 to 8; 1, upright, where there is none or it cannot be read."""
    try:
        # PNG keeps EXIF in front or behind the pixels; asking for the latter would decode the picture.
        exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
        return exif.get(0x0112, 1)
    except Exception:  # the picture is whole all the same
        return 1


def sound_size(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header, or None if that is damaged or the end of the file is missing."""
    try:
        size = image_size(path)
        with open(path, "rb") as file:
            file.seek(-min(TAIL, path.stat().st_size), 2)
            whole = END_MARK.get(path.suffix.lower(), b"") in file.read()
    except (UserError, OSError):
        return None
    return size if whole else None


def _open_image(path):
    """Pillow's lazy image: header read, pixels not. Refuses over MAX_PIXELS before anything is decoded."""
    # Pillow's own limit names neither file nor cure; ours is stricter and follows at once.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(path)
    except PermissionError as error:
        raise UserError(f"{path}: may not be read (permission denied); change its permissions") from error
    except Exception as error:  # decoders raise nearly anything on broken bytes
        raise unreadable(path) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise too_large(path, *image.size)
    return image


def _to_rgb(image, path):
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit, 32-bit integer and float grey
        grey = np.asarray(image)
        top = 1 if image.mode == "F" else 65535
        if not (grey.min() >= 0 and grey.max() <= top):
            raise UserError(f"{path}: holds values outside 0 to {top}; save it as an 8- or 16-bit image")
        grey = np.rint(grey * (255 / top)).astype(np.uint8)  # 255/65535 = 1/257
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))  # grey, palette, CMYK …; drops alpha


def unreadable(path) -> UserError:
    return UserError(f"{path}: not a readable image (damaged, or another kind of file); replace or remove it")


def too_large(path, width, height):
    limit = MAX_PIXELS // 1_000_000
    return UserError(f"{path}: {width}x{height} is over {limit} megapixels; scale it down first")

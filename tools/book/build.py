"""The notebooks and docs as a static site that opens from a folder: no server, no network, nothing is run.

    python -m tools.book.build            into _book/; open _book/index.html
    python -m tools.book.build OUT        into OUT, which must be new, empty or an older book

Every page is first written as Markdown into a temporary folder (pages.py), then Sphinx makes HTML of it (conf.py).
Formulas become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from .pages import notebook_page, plain_fences, relink

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MARK = ".bivm_ref_book"  # in every folder that this program wrote, so that it replaces no other


def page_paths(root: Path = ROOT) -> list[str]:
    """The pages, as paths within the repository; index.md comes on top of them."""
    found = [*root.glob("notebooks/*.ipynb"), *root.glob("notebooks/solutions/*.md"), *root.glob("docs/*.md"),
             root / "README.md", root / "data_samples" / "README.md", root / "data_samples" / "timings" / "README.md",
             root / "data_samples" / "results" / "README.md", *root.glob("bivm_ref/weights/*.md")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def stage(folder: Path, root: Path = ROOT) -> None:
    """Write every page as Markdown into `folder`, at its place in the repository, with the pictures it shows."""
    pages = page_paths(root)
    for page in pages:
        place = folder / page
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.endswith(".ipynb"):
            text, pictures = notebook_page(root / page)
            for name, data in pictures.items():
                (place.parent / name).write_bytes(data)
        else:
            text = plain_fences((root / page).read_text(encoding="utf-8"))
        text, shown = relink(text, page, set(pages), root)
        place.with_suffix(".md").write_text(text, encoding="utf-8")
        for name in shown:
            copy = folder / name
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, copy)
    shutil.copyfile(HERE / "index.md", folder / "index.md")


def let_names_break(page: Path) -> None:
    """A long name in code may go on in the next line after a dot or an underscore, as narrow columns need it."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'(?<=<span class="pre">)[\w.]{12,}(?=</span>)', lambda m: re.sub("[._]", r"\g<0><wbr>", m[0]), text)
    page.write_text(text, encoding="utf-8")


def build(out: Path) -> None:
    """Build the whole book beside `out`, then put it in its place. Raises SystemExit when Sphinx warns of anything."""
    from sphinx.cmd.build import build_main

    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise SystemExit(f"{out}: holds something that is no book; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        source, made = Path(temporary) / "source", Path(temporary) / "made"
        stage(source)
        code = build_main(["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE), "-d", f"{temporary}/doctrees",
                           str(source), str(made)])
        if code:
            raise SystemExit(f"the book was not built (Sphinx ended with {code})")
        shutil.rmtree(made / "_sources", ignore_errors=True)
        for page in made.rglob("*.html"):
            let_names_break(page)
        for needless in (".buildinfo", "objects.inv"):
            (made / needless).unlink(missing_ok=True)
        (made / MARK).touch()
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT", nargs="?", type=Path, default=ROOT / "_book", help="default: _book/")
    out = parser.parse_args(argv).out.resolve()
    build(out)
    print(f"{len(page_paths()) + 1} pages: open {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

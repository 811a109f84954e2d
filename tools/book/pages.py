"""A notebook, or a Markdown file of the repository, as a page of the book.

A notebook becomes one Markdown file with its committed outputs: nothing is run. Markdown cells stay as they are, code
and printed lines become fenced blocks, pictures become files beside the page and keep their alternative text.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path, PurePosixPath

import nbformat
from pygments.lexers import get_all_lexers

ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
WIDGET = "*Here the notebook has a widget to move by hand; the picture above shows some of its positions.*"
FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[ \t]*$", re.M | re.S)
LINK_OR_CODE = re.compile(r"(!?)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]+)\)|`[^`]*`")


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """(the page as Markdown, {name of a picture beside it: its bytes})."""
    blocks, pictures = [], {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
        elif cell.cell_type == "code":
            blocks.append(_fenced(cell.source, "python"))
            for output in cell.outputs:
                blocks += _output(output, path.stem, pictures)
            if not cell.outputs and "nbval-ignore-output" in cell.metadata.get("tags", []):
                blocks.append(WIDGET)  # its output is not committed: see tools/refresh_notebooks.py
    return "\n\n".join(blocks) + "\n", pictures


def _output(output, stem: str, pictures: dict[str, bytes]) -> list[str]:
    """The Markdown blocks of one output; a picture is added to `pictures`."""
    if output.output_type == "stream":
        return [_fenced(output.text, "text", "printed")]
    data = output.get("data", {})
    kind = next((kind for kind in ENDINGS if kind in data), None)
    if kind:
        name = f"{stem}_{len(pictures) + 1}.{ENDINGS[kind]}"
        pictures[name] = base64.b64decode(data[kind])
        alt = output.metadata.get(kind, {}).get("alt", "")
        return [f"![{re.sub(r'([][*_`$<>|])', chr(92) + chr(92) + '1', alt)}]({name})"]  # Markdown in it is text
    if "text/markdown" in data:  # a table, say
        return [data["text/markdown"]]
    return [_fenced(data["text/plain"], "text", "printed")] if "text/plain" in data else []


def _fenced(text: str, language: str, style: str = "") -> str:
    """A code block that no run of backquotes within `text` can end."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    opening = f"{{code-block}} {language}\n:class: {style}\n" if style else language
    return f"{fence}{opening}\n{text.rstrip()}\n{fence}"


def relink(text: str, page: str, pages: set[str], root: Path) -> tuple[str, set[str]]:
    """(`text` with links that lead within the book, the pictures of the repository that it shows).

    `page` and `pages` are paths within the repository. A link to another page is kept, to a notebook it leads to its
    page. A link to a file that is no page becomes that file's path in words: the book is read without the repository.
    """
    shown: set[str] = set()

    def link(match: re.Match) -> str:
        mark, label, target = match.groups()
        if target is None or re.match(r"[a-z]+:|#", target):
            return match.group()
        place, _, anchor = target.partition("#")
        path = os.path.normpath(PurePosixPath(page).parent / place)  # within the repository
        if mark:
            shown.add(path)
            return match.group()
        if path in pages:
            return f"[{label}]({place.removesuffix('.ipynb')}{'' if place.endswith('.md') else '.md'}" \
                   f"{'#' + anchor if anchor else ''})"
        if not (root / path).exists():
            raise FileNotFoundError(f"{page} has a link to {target}, and there is no such file")
        name = label.strip("`").rstrip("/")
        return label if path.endswith(name) else f"{label} (`{path}`)"

    return outside_fences(text, lambda part: LINK_OR_CODE.sub(link, part)), shown


def plain_fences(text: str) -> str:
    """Fenced blocks in a language that nobody colours (data_samples/README.md has one, sha256) become plain text."""
    known = {alias for _, aliases, _, _ in get_all_lexers() for alias in aliases}
    return re.sub(r"^```(\w+)$", lambda m: m.group() if m[1] in known else "```text", text, flags=re.M)


def outside_fences(text: str, change) -> str:
    """`change` applied to everything that is not in a fenced code block."""
    made, at = [], 0
    for fence in FENCE.finditer(text):
        made += [change(text[at:fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*made, change(text[at:])])

"""`make book`: pages that open from a folder. Nothing is loaded from elsewhere, every link resolves, all pictures keep
their alternative text, and no markup is left in the text."""

import html.parser
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tools.book import build, conf, pages

ROOT = Path(__file__).resolve().parent.parent

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "embed": "src", "object": "data"}
VERBATIM = {"code", "pre", "script", "style", "math"}


class Page(html.parser.HTMLParser):
    """What a page loads, links to, shows, and says outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.loads, self.links, self.ids, self.pictures = path, [], [], set(), []
        self.text, self.formulas, self._inside, self._classes = [], 0, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag in LOADS and given.get(LOADS[tag]):
            self.loads.append(given[LOADS[tag]])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "modulepreload", "shortcut icon"):
            self.loads.append(given["href"])
        elif tag in ("a", "link") and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append(given.get("alt", ""))
        self.formulas += tag == "math"
        if tag in VERBATIM:
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag in VERBATIM:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.text.append(data)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site") / "book"
    build.build(out)
    return out.resolve()


@pytest.fixture(scope="module")
def site(book) -> dict[str, Page]:
    return {path.relative_to(book).as_posix(): Page(path) for path in sorted(book.rglob("*.html"))}


def test_every_notebook_and_document_has_its_page(site):
    wanted = {Path(page).with_suffix(".html").as_posix() for page in build.page_paths()} | {"index.html"}
    assert wanted <= set(site)
    assert {f"notebooks/{path.stem}.html" for path in NOTEBOOKS} <= wanted and "docs/instructor.html" in wanted


def test_the_index_leads_to_every_page(site):
    linked = {urlsplit(link).path for link in site["index.html"].links}
    assert {Path(page).with_suffix(".html").as_posix() for page in build.page_paths()} <= linked


def test_nothing_is_loaded_from_elsewhere(site, book):
    for page in site.values():
        assert page.loads and not [load for load in page.loads if re.match(r"(https?:)?//", load)], page.path
    for sheet in book.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_local_link_and_file_resolves(site, book):
    missing = []
    for name, page in site.items():
        for target in [*page.links, *page.loads]:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            inside = path.is_relative_to(book) and path.is_file()
            other = site.get(path.relative_to(book).as_posix()) if inside else None
            if not inside or (parts.fragment and other and unquote(parts.fragment) not in other.ids):
                missing.append(f"{name}: {target}")
    assert missing == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebooks_page_has_its_outputs(path, site):
    cells, page = nbformat.read(path, as_version=4).cells, site[f"notebooks/{path.stem}.html"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    alts = [out.metadata[kind]["alt"] for out in outputs for kind in pages.ENDINGS if kind in out.get("data", {})]
    assert page.pictures == alts and len(alts) > 0
    whole = page.path.read_text(encoding="utf-8")
    assert whole.count('class="printed ') == sum(output.output_type == "stream" for output in outputs)
    assert "IPython.core.display" not in " ".join(page.text) and "&lt;IPython" not in whole
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert whole.count("<details>") == whole.count("</details>") == prose.count("<details>")
    inline = re.findall(r"\$\$.+?\$\$|\$[^$]+?\$", re.sub(r"`[^`]*`", "", prose), re.S)
    assert page.formulas == len(inline)
    widgets = [c for c in cells if "nbval-ignore-output" in c.metadata.get("tags", []) and not c.outputs]
    assert " ".join(page.text).count("Here the notebook has a widget") == len(widgets)


MARKUP = re.compile(r"\$|```|<!--|-->|\*\*|</?[a-z]+>|\]\(|\\[a-zA-Z]+\b|\{[a-z-]+\}`|^#+ ", re.M)


def test_no_markup_is_left_in_the_text(site):
    for name, page in site.items():
        assert [text.strip() for text in page.text if MARKUP.search(text)] == [], name


def test_what_markup_looks_like():
    for text in ("costs $x$", "**bold**", "[a](b)", "<!-- note", r"\alpha and", "</details>", "## Title"):
        assert MARKUP.search(text), text
    assert not MARKUP.search("a < b, C:\\ and 2 * 3 * 4, {-1, +1}")


def test_links_of_a_page_stay_in_the_book(tmp_path):
    (tmp_path / "code.py").touch()
    (tmp_path / "docs").mkdir()
    text = "[n](../notebooks/a.ipynb) [d](b.md#c) [the code](../code.py) [`code.py`](../code.py) ![p](p.png) `[x](y)`"
    made, shown = pages.relink(text, "docs/page.md", {"notebooks/a.ipynb", "docs/b.md"}, tmp_path)
    assert made == ("[n](../notebooks/a.md) [d](b.md#c) the code (`code.py`) `code.py` ![p](p.png) `[x](y)`")
    assert shown == {"docs/p.png"}
    with pytest.raises(FileNotFoundError, match="gone.md"):
        pages.relink("[g](gone.md)", "docs/page.md", set(), tmp_path)


def test_formulas_become_mathml():
    made = conf.mathml(r"|x| \le \frac{1}{2} - (-1)")
    assert made.startswith("<math") and "<mfrac>" in made and "\\" not in made
    assert made.count('lspace="0" rspace="0">|</mo>') == 2  # no room around the bars of a size
    assert made.count("<mo>&#x02212;</mo>") == made.count('<mo form="prefix">&#x02212;</mo>') == 1  # 1/2 - (-1)
    assert conf.mathml(r"p(a) \log_2 p - \ln(2)").count(conf.THIN) == 2  # on either side of the first
    assert conf.THIN not in conf.mathml(r"1 - \tanh^2(x)")  # a power has two children, and no more


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(SystemExit, match="no book"):
        build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

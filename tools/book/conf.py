"""Sphinx's settings for the book, and formulas as MathML. See build.py."""

import re

from docutils import nodes
from latex2mathml.converter import convert

project = "bivm_ref"
author = "the bivm_ref authors"
html_title = "bivm_ref: binarized video matting"

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ["myst.header"]  # a heading within a quoted box is as it should be

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_show_sourcelink = html_copy_source = html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "default", "monokai"


def mathml(latex: str, display: str = "inline") -> str:
    """MathML of a formula, with two spaces corrected that browsers take for those of a difference or of "given"."""
    bar = '<mo stretchy="false" lspace="0" rspace="0">|</mo>'
    made = re.sub(r"<mo[^>]*>&#x0007C;</mo>", bar, convert(latex, display=display))
    opening = r"<mrow>|<mo[^>]*>(?:[(\[{,]|&#x00028;|&#x0002C;|&#x0007B;)</mo>"
    return re.sub(rf"({opening})<mo>(?=&#x02212;)", r'\1<mo form="prefix">', made)


def inline_math(translator, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))

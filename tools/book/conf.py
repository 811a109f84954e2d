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


THIN = '<mspace width="0.167em" />'
NAME = "<mi>(?:log|ln|exp|tanh|arccos|arcsin)</mi>"
FUNCTION = rf"(?:<msu[bp]>{NAME}<mn>\d+</mn></msu[bp]>|(?<!<msub>)(?<!<msup>){NAME})"  # with its index or power
SPACES = (  # as TeX has it: no room around bars, none after the minus of -1, a little around log
    (r"<mo[^>]*>&#x0007C;</mo>", '<mo stretchy="false" lspace="0" rspace="0">|</mo>'),
    (r"(<mrow>|<mo[^>]*>(?:[(\[{,]|&#x00028;|&#x0002C;|&#x0007B;)</mo>)<mo>(?=&#x02212;)", r'\1<mo form="prefix">'),
    (r"<mo[^>]*>(max|min|gcd)</mo>(?=<mo[^>]*>&#x00028;)", r"<mi>\1</mi>"),
    (rf"(</m[in]>|&#x00029;</mo>)(?={FUNCTION})", rf"\1{THIN}"),
    (rf"({FUNCTION})(?=<m[in]>)", rf"\1{THIN}"),
)


def mathml(latex: str, display: str = "inline") -> str:
    """MathML of a formula, spaced as TeX would."""
    made = convert(latex, display=display)
    for found, replacement in SPACES:
        made = re.sub(found, replacement, made)
    return made


def inline_math(translator, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))

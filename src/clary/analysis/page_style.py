"""How reports for people look: every page is one file that needs nothing else to be read."""

from __future__ import annotations

from html import escape

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
body{color:#1c2430}
h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid #d5dae1}h3{margin-bottom:.3rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0}
td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #e8ebef;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.note{color:#5a6675;font-size:.9rem}.more{color:#a3341f;font-weight:600}.less{color:#3d6b4f}
svg{display:block}.bad{border-left:4px solid #a3341f;padding-left:.8rem}
"""


def opening(title: str, style: str = "") -> str:
    """Write how a page begins, up to its title.

    Parameters
    ----------
    style
        CSS beside what all pages have.
    """
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width'>\n"
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style><h1>{escape(title)}</h1>"
    )

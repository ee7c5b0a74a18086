"""A notebook as one HTML file that needs no network: figures drawn by an embedded plotly.js, widgets as pictures.

nbconvert's own page fetches its scripts from addresses outside; this one holds everything, and its content
security policy lets a browser load nothing else.
"""

from __future__ import annotations

import json
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from forensics.errors import FormatError
from forensics.plots.palette import css_variables

__all__ = ["export_notebook"]

_PLOTLY = "application/vnd.plotly.v1+json"
_WIDGET = "application/vnd.jupyter.widget-view+json"


def export_notebook(notebook: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write ``notebook``, with the outputs saved in it, to one HTML file; returns its path.

    Parameters
    ----------
    notebook : an ``.ipynb`` file that was run and saved
    out : by default beside the notebook, with the suffix ``.html``

    Raises
    ------
    FormatError : the file is not a notebook.
    """
    source = Path(notebook)
    target = source.with_suffix(".html") if out is None else Path(out)
    try:
        document = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, nbformat.validator.NotebookValidationError) as error:
        raise FormatError(
            f"{source} cannot be read as a notebook: {error}.",
            advice="Save it in JupyterLab first, then give that file.",
            path=str(source),
        ) from error
    figures = _made_static(document)
    exporter = HTMLExporter(template_name="basic", embed_images=True)
    body, _ = exporter.from_notebook_node(document)
    page = _template().render(
        title=source.stem.replace("_", " "),
        style=Markup(_style()),
        body=Markup(body),
        plotly=Markup(_plotly_script()) if figures else "",
    )
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(page)
    os.replace(partial, target)
    return target


def _made_static(document: Any) -> int:
    """Turn outputs that need a kernel or an extension into HTML; returns the number of plotly figures."""
    figures = 0
    for cell in document.cells:
        for output in cell.get("outputs", []):
            data = output.get("data")
            if not data:
                continue
            data.pop(_WIDGET, None)
            figure = data.pop(_PLOTLY, None)
            if figure is not None:
                figures += 1
                data["text/html"] = _figure(figure, figures)
    return figures


def _figure(figure: dict[str, Any], number: int) -> str:
    height = int((figure.get("layout") or {}).get("height") or 420)
    inert = json.dumps({"data": figure.get("data", []), "layout": figure.get("layout", {})})
    inert = inert.replace("<", "\\u003c").replace("&", "\\u0026")
    return (
        f'<div class="fx-plot" id="fx-plot-{number}" style="min-height:{height}px"></div>'
        f'<script type="application/json" class="fx-figure" data-for="fx-plot-{number}">{inert}</script>'
    )


def _plotly_script() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _style() -> str:
    templates = resources.files("forensics.report").joinpath("templates")
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="monokai").get_style_defs(".highlight")
    return "\n".join(
        [
            f":root{{{css_variables()}}}",
            templates.joinpath("report.css").read_text(),
            light,
            f"@media screen and (prefers-color-scheme: dark) {{ {dark} }}",
            templates.joinpath("notebook.css").read_text(),
        ]
    )


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("forensics.report"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("notebook.html.j2")

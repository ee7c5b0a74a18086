"""The reference graph as a widget: roots to DynamoDB objects, merged, sized by bytes, coloured by room.

cytoscape.js (MIT, see ``vendor/LICENSE.cytoscape``) travels with the package; no network is needed. Where no
widget can run (an exported page, a forge's preview) the same graph is shown as a static SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import anywidget
import traitlets

from forensics import units
from forensics.dynamodb.chains import ReferenceChains
from forensics.escape import plain
from forensics.plots import chain_graph, palette
from forensics.plots.chain_svg import chain_svg

__all__ = ["ReferenceGraph"]

#: More places than this are folded away before they are sent to the browser.
MOST = 400


def _module() -> str:
    """cytoscape's UMD build in a scope of its own, then our module: one text without any import."""
    here = resources.files("forensics.plots.widget")
    library = here.joinpath("vendor/cytoscape.min.js").read_text()
    ours = here.joinpath("graph.js").read_text()
    return (
        "const cytoscape = (() => { const module = { exports: {} }; const exports = module.exports;"
        f"\n{library}\n; return module.exports; }})();\n{ours}"
    )


def _style() -> str:
    css = resources.files("forensics.plots.widget").joinpath("graph.css").read_text()
    return f".fx-graph{{{palette.css_variables()}}}\n{css}"


class ReferenceGraph(anywidget.AnyWidget):
    """An interactive ``ReferenceChains``; ``selected`` is the id of the chosen node, -1 for none.

    Parameters
    ----------
    chains : the merged graph; of more than 400 nodes the lightest are folded, and counted
    focus : path of the place to choose first; by default the one that holds most DynamoDB data
    min_share : places that keep a smaller share of what the heaviest one keeps are left out, and counted
    """

    _esm = _module()
    _css = _style()
    graph = traitlets.Dict().tag(sync=True)
    palette = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self, chains: ReferenceChains, focus: str = "", min_share: float = 0.01, **kwargs: Any
    ) -> None:
        self.chains = chain_graph.smallest(chain_graph.weighty(chains, min_share), MOST)
        self.focus = focus
        super().__init__(graph={**_graph(self.chains), "focus": plain(focus)}, palette=_palette(), **kwargs)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self.static()
            data["text/plain"] = plain_lines(self.chains)
        return bundle

    def static(self) -> str:
        """The same graph as SVG text, for pages without a kernel."""
        return (
            f'<div style="overflow-x:auto">{chain_svg(self.chains, here=self.focus or None, limit=18)}</div>'
        )


def plain_lines(chains: ReferenceChains) -> str:
    """The graph as text, safe for a terminal."""
    return "\n".join(plain(line) for line in str(chains).splitlines())


def _graph(chains: ReferenceChains) -> dict[str, Any]:
    graph = chains.to_dict()
    for node, place in zip(graph["nodes"], chains.nodes, strict=True):
        node["title"] = plain(chain_graph.title(place), 500)
        node["examples"] = _texts(node["examples"])
        node["room_name"] = units.plain_label(node["room"])
        for name in ("label", "path", "file"):
            node[name] = plain(node[name], 500) if node[name] is not None else None
    for edge in graph["edges"]:
        edge["label"] = plain(edge["label"], 200)
    present = {node.room for node in chains.nodes}
    graph["rooms"] = [[room, units.plain_label(room)] for room in palette.ROOMS if room in present]
    return graph


def _texts(texts: Sequence[str], limit: int = 12) -> list[str]:
    return [plain(text, 300) for text in texts[:limit]]


def _palette() -> dict[str, dict[str, str]]:
    tones = {f"room-{name}": tone for name, tone in palette.ROOMS.items()}
    tones |= {"ink": palette.INK, "muted": palette.MUTED, "paper": palette.PAPER}
    tones |= {"accent": palette.ACCENT, "bad": palette.BAD}
    return {name: {"light": tone.light, "dark": tone.dark} for name, tone in tones.items()}

"""A heap snapshot of the browser itself: V8 is newer there than in any Node, and writes tables that Node's does not."""

from __future__ import annotations

import json

from forensics import formats

PAGE = """\
<script>
var kept = [];
function outer(n) {
  const text = 's'.repeat(40);
  kept.push(() => text.length + n);
}
outer(3);
</script>
"""


def test_it_is_read_with_scopes_and_wider_locations(window, tmp_path):
    # GIVEN a page with a closure in an array; V8 of 2026 writes scopes, and a script's node beside its number
    opened = window()
    opened.page.set_content(PAGE)
    file = tmp_path / "page.heapsnapshot"
    with file.open("w", encoding="utf-8", errors="surrogatepass") as stream:
        session = opened.context.new_cdp_session(opened.page)
        session.on("HeapProfiler.addHeapSnapshotChunk", lambda message: stream.write(message["chunk"]))
        session.send("HeapProfiler.enable")
        session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    # WHEN it is loaded
    graph = formats.load(file)
    # THEN nothing is lost, the function stands at its line, and the path is what one would type
    written = json.loads(file.read_text(encoding="utf-8", errors="surrogatepass"))["snapshot"]
    assert len(graph) == written["node_count"]
    code = graph.code.to_pandas()
    (row,) = code[code["qualname"] == "outer"].itertuples()
    assert row.first_line == 3
    assert any(path.expression.endswith(".outer") for path in graph.paths_to_roots(int(row.object), limit=4))

// The reference graph in the browser. `cytoscape` is the vendored library that stands in front of this text.
// Text of a heap is put into the page with textContent, or painted on a canvas: it is never parsed as markup.

const FEW = 24; // places shown at first; the rest is folded and said so
const ACROSS = 262, DOWN = 76; // distance of neighbours in a layer, and of layers
const PHONE = 480, PHONE_ACROSS = 168, PHONE_TEXT = 112; // a canvas narrower than this has them closer
const LEGIBLE = 0.78; // never smaller at first; what does not fit then is reached by dragging
const KIB = 1024;

function size(bytes) {
  if (bytes < KIB) return `${bytes} bytes`;
  let unit = "";
  for (unit of ["KiB", "MiB", "GiB"]) { bytes /= KIB; if (bytes < KIB) break; }
  return `${bytes >= 100 ? Math.round(bytes) : bytes.toPrecision(3).replace(/\.?0+$/, "")} ${unit}`;
}

const number = (value) => value.toLocaleString("en");
const objects = (value) => `${number(value)} ${value === 1 ? "object" : "objects"}`;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** What of the graph is shown: places reachable from a root through places that are unfolded. */
class Visible {
  constructor(graph) {
    this.nodes = new Map(graph.nodes.map((node) => [node.id, node]));
    this.edges = graph.edges.filter((edge) => edge.source !== edge.target);
    this.children = new Map();
    this.parents = new Map();
    for (const edge of this.edges) {
      this.children.set(edge.source, [...(this.children.get(edge.source) ?? []), edge]);
      this.parents.set(edge.target, [...(this.parents.get(edge.target) ?? []), edge]);
    }
    for (const edges of this.children.values()) edges.sort((a, b) => b.retained_bytes - a.retained_bytes);
    this.roots = graph.nodes.filter((node) => !this.parents.has(node.id)).map((node) => node.id);
    if (!this.roots.length && graph.nodes.length) this.roots = [graph.nodes[0].id];
    this.unfoldHeaviest();
  }
  unfoldHeaviest() {
    this.open = new Set();
    const waiting = [...this.roots];
    while (waiting.length) {
      waiting.sort((a, b) => this.nodes.get(b).retained_bytes - this.nodes.get(a).retained_bytes);
      const id = waiting.shift();
      const next = (this.children.get(id) ?? []).map((edge) => edge.target);
      if (!next.length || this.open.has(id)) continue;
      this.open.add(id);
      if (this.ids().size > FEW && this.open.size > 1) { this.open.delete(id); continue; }
      waiting.push(...next);
    }
  }
  ids() {
    const seen = new Set(this.roots), queue = [...this.roots];
    while (queue.length) {
      const id = queue.shift();
      if (!this.open.has(id)) continue;
      for (const edge of this.children.get(id) ?? []) {
        if (!seen.has(edge.target)) { seen.add(edge.target); queue.push(edge.target); }
      }
    }
    return seen;
  }
  shownEdges(ids) {
    return this.edges.filter((edge) => this.open.has(edge.source) && ids.has(edge.source) && ids.has(edge.target));
  }
  folds(id) { return (this.children.get(id) ?? []).length > 0; }
  toggle(id) { if (this.open.has(id)) this.open.delete(id); else if (this.folds(id)) this.open.add(id); }
  openAll() { this.open = new Set(this.children.keys()); }
  closeAll() { this.open = new Set(this.roots); }
  reveal(id) { // unfold a way from a root to this place
    const from = new Map(), queue = [...this.roots], seen = new Set(queue);
    while (queue.length) {
      const at = queue.shift();
      for (const edge of this.children.get(at) ?? []) {
        if (!seen.has(edge.target)) { seen.add(edge.target); from.set(edge.target, at); queue.push(edge.target); }
      }
    }
    for (let at = from.get(id); at !== undefined; at = from.get(at)) this.open.add(at);
  }
}

/** Layers by longest way from a root, order by barycentre (Sugiyama, Tagawa, Toda 1981); roots above. */
function positions(ids, edges, weight, across) {
  const depth = new Map([...ids].map((id) => [id, 0]));
  for (let turn = 0; turn < ids.size; turn++) {
    let moved = false;
    for (const { source, target } of edges) {
      if (depth.get(target) <= depth.get(source) && depth.get(source) + 1 < ids.size) {
        depth.set(target, depth.get(source) + 1); moved = true;
      }
    }
    if (!moved) break;
  }
  const columns = [];
  for (const id of [...ids].sort((a, b) => weight(b) - weight(a))) (columns[depth.get(id)] ??= []).push(id);
  const row = new Map();
  const place = (column) => column.forEach((id, index) => row.set(id, index - (column.length - 1) / 2));
  columns.forEach(place);
  for (let sweep = 0; sweep < 4; sweep++) {
    for (const column of columns) {
      const centre = new Map(column.map((id) => {
        const near = edges.filter((edge) => (sweep % 2 ? edge.source : edge.target) === id)
          .map((edge) => row.get(sweep % 2 ? edge.target : edge.source));
        return [id, near.length ? near.reduce((sum, each) => sum + each, 0) / near.length : row.get(id)];
      }));
      column.sort((a, b) => centre.get(a) - centre.get(b));
      place(column);
    }
  }
  return new Map([...ids].map((id) => [id, { x: row.get(id) * across, y: depth.get(id) * DOWN }]));
}

function isDark() {
  const host = document.querySelector("[data-jp-theme-light]");
  if (host) return host.getAttribute("data-jp-theme-light") === "false";
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function stylesheet(palette, narrow) {
  const tone = (name) => palette[name][isDark() ? "dark" : "light"];
  return [
    { selector: "node", style: {
      width: "data(diameter)", height: "data(diameter)", label: "data(caption)",
      "background-color": (node) => tone(`room-${node.data("room")}`), "border-width": 0,
      color: tone("ink"), "font-size": 12, "font-family": "system-ui, sans-serif",
      "line-height": 1.2, "text-halign": "right", "text-valign": "center", "text-margin-x": 6, "text-justification": "left",
      "text-wrap": "wrap", "text-max-width": narrow ? PHONE_TEXT : 188,
      "text-background-color": tone("paper"), "text-background-opacity": 0.8, "text-background-padding": 2 } },
    { selector: "node[?folded]", style: { "border-width": 3, "border-style": "double", "border-color": tone("ink") } },
    { selector: "node:selected", style: { "border-width": 4, "border-style": "solid", "border-color": tone("accent") } },
    { selector: "node.found", style: { "border-width": 4, "border-style": "solid", "border-color": tone("bad") } },
    { selector: "node.dim, edge.dim", style: { opacity: 0.25 } },
    { selector: "edge", style: {
      width: "data(width)", "line-color": tone("muted"), "target-arrow-color": tone("muted"), opacity: 0.8,
      "target-arrow-shape": "triangle", "arrow-scale": 0.9, "curve-style": "bezier", label: "data(caption)",
      color: tone("muted"), "font-size": 11, "font-family": "system-ui, sans-serif", "text-wrap": "ellipsis", "text-max-width": 130,
      "text-background-color": tone("paper"), "text-background-opacity": 1 } },
  ];
}

function details(node, visible) {
  const rows = [
    ["Keeps", `${size(node.retained_bytes)}${node.objects ? ` in ${objects(node.objects)}` : ""}`],
    ["What", node.label],
    ["Room", node.room_name],
    ["Reached as", node.path || "—"],
    ["Source", node.file ? `${node.file}${node.line ? `:${node.line}` : ""}` : "—"],
  ];
  const list = make("dl");
  for (const [name, value] of rows) list.append(make("dt", { text: name }), make("dd", { text: value }));
  const box = make("div", {}, make("h4", { text: node.title }), list);
  for (const [title, edges, end] of [
    ["Held by", visible.parents.get(node.id), "source"], ["Refers to", visible.children.get(node.id), "target"],
  ]) {
    if (!edges) continue;
    const told = edges.slice(0, 6).map((edge) => make("li", {
      text: `${visible.nodes.get(edge[end]).title} — ${edge.label || "reference"}${edge.references ? ` ×${number(edge.references)}` : ""}` }));
    box.append(make("h5", { text: title }), make("ul", {}, ...told));
    if (edges.length > 6) box.append(make("p", { text: `and ${edges.length - 6} more` }));
  }
  if (node.examples.length) {
    box.append(make("h5", { text: "Examples" }),
      make("ul", {}, ...node.examples.map((text) => make("li", {}, make("code", { text })))));
  }
  return box;
}

/** The place that was asked for, else the application's place that holds the most DynamoDB data. */
function startingPlace(graph, visible) {
  const asked = graph.nodes.find((node) => graph.focus && node.path === graph.focus);
  if (asked) return asked.id;
  const room = (id) => visible.nodes.get(id).room;
  const holding = graph.edges.filter((edge) => room(edge.source) === "application" && room(edge.target) === "dynamodb");
  return holding.sort((a, b) => b.retained_bytes - a.retained_bytes)[0]?.source;
}

function render({ model, el }) {
  const graph = model.get("graph"), palette = model.get("palette");
  const visible = new Visible(graph);
  const heaviest = Math.max(1, ...graph.nodes.map((node) => node.retained_bytes));
  const weight = (id) => visible.nodes.get(id).retained_bytes;
  let current = null, listed = false, narrow = false;

  const search = make("input", { type: "search", placeholder: "Search names, paths, files",
    "aria-label": "Search the reference graph", oninput: () => find() });
  const button = (text, title, act) => make("button", { type: "button", text, title, onclick: act });
  const asList = button("List", "Show the graph as a list", () => { listed = !listed; draw(); });
  const toolbar = make("div", { class: "fx-tools", role: "toolbar", "aria-label": "Reference graph" }, search,
    button("Expand all", "Unfold every place", () => { visible.openAll(); draw(); }),
    button("Collapse", "Fold to the roots", () => { visible.closeAll(); draw(); }),
    button("Heaviest", "Unfold the heaviest places only", () => { visible.unfoldHeaviest(); draw(); }),
    button("Fit", "Fit the graph into view", () => cy.fit(undefined, 30)), asList);
  const canvas = make("div", { class: "fx-canvas", tabindex: "0", role: "application",
    "aria-label": "Reference graph. Arrow keys move between places, Enter folds or unfolds, plus and minus zoom." });
  const tree = make("ul", { class: "fx-tree", role: "tree", "aria-label": "Reference graph as a list" });
  const panel = make("aside", { class: "fx-details", "aria-live": "polite", "aria-label": "Details of the chosen place" },
    make("p", { text: "Choose a place to see its path, source line, retained bytes and examples. " +
      "A double ring holds folded places: double-click or press Enter to unfold." }));
  const status = make("p", { class: "fx-status", role: "status" });
  const legend = make("p", { class: "fx-legend" }, ...graph.rooms.map(([room, name]) =>
    make("span", {}, make("i", { style: `background:var(--fx-room-${room})`, "aria-hidden": "true" }), name)));
  const root = make("div", { class: "fx-graph" }, toolbar,
    make("div", { class: "fx-body" }, make("div", { class: "fx-stage" }, canvas, tree), panel), status, legend);
  el.append(root);

  // No layout of its own: it would fail where JupyterLab renders a cell before it is part of the page.
  const cy = cytoscape({ container: canvas, style: stylesheet(palette, narrow), layout: { name: "preset", fit: false }, minZoom: 0.2, maxZoom: 2.5,
    autoungrabify: false, boxSelectionEnabled: false, selectionType: "single" });

  function elements(ids, edges, at) {
    const nodes = [...ids].map((id) => {
      const node = visible.nodes.get(id), folded = visible.folds(id) && !visible.open.has(id);
      const [head, tail] = narrow ? [12, 20] : [30, 24];
      const label = node.title.length > head + tail + 2 ? `${node.title.slice(0, head)}…${node.title.slice(-tail)}` : node.title;
      return { data: { id: `n${id}`, number: id, room: node.room, folded,
        diameter: 16 + 28 * Math.sqrt(node.retained_bytes / heaviest),
        caption: `${label}\n${size(node.retained_bytes)}${folded ? `  (+${visible.children.get(id).length})` : ""}` },
        position: at.get(id) };
    });
    return [...nodes, ...edges.map((edge, index) => ({ data: { id: `e${index}`, source: `n${edge.source}`,
      target: `n${edge.target}`, width: 1 + 6 * edge.retained_bytes / heaviest,
      caption: edge.references > 1 ? `${edge.label} ×${number(edge.references)}` : edge.label } }))];
  }

  function fit() {
    if (!canvas.clientWidth) return; // not in the page yet: the ResizeObserver calls again
    cy.resize();
    cy.fit(undefined, 24);
    if (cy.zoom() > 1.1) { cy.zoom(1.1); cy.center(); }
    if (cy.zoom() >= LEGIBLE) return;
    cy.zoom(LEGIBLE);
    const box = cy.elements().boundingBox();
    const middle = cy.$id(`n${current ?? visible.roots[0]}`);
    // What does not fit is seen round the chosen place.
    const along = (least, most, room, chosen) =>
      room / 2 - LEGIBLE * ((most - least) * LEGIBLE <= room ? (least + most) / 2 : chosen);
    cy.pan({ x: along(box.x1, box.x2, canvas.clientWidth, middle.position("x") + (narrow ? 40 : 80)),
      y: along(box.y1, box.y2, canvas.clientHeight, middle.position("y")) });
  }

  function draw() {
    const ids = visible.ids(), edges = visible.shownEdges(ids);
    cy.elements().remove();
    cy.add(elements(ids, edges, positions(ids, edges, weight, narrow ? PHONE_ACROSS : ACROSS)));
    canvas.hidden = listed; tree.hidden = !listed;
    asList.textContent = listed ? "Graph" : "List";
    if (listed) drawTree();
    if (current !== null && ids.has(current)) cy.$id(`n${current}`).select();
    if (!listed) fit();
    const folded = graph.nodes.length - ids.size;
    status.textContent = `Showing ${ids.size} of ${graph.nodes.length} places` +
      (folded ? `; ${folded} folded, unfold a double ring to see them` : "") +
      (graph.folded ? `; ${number(graph.folded)} smaller places were left out` : "") + ".";
    root.dataset.shown = ids.size;
    if (search.value) find();
  }

  function drawTree() {
    const seen = new Set();
    const branch = (id, label, level) => {
      const node = visible.nodes.get(id), open = visible.open.has(id) && !seen.has(id);
      const item = make("li", { role: "treeitem", "aria-level": level, "aria-selected": String(id === current) });
      if (visible.folds(id)) item.setAttribute("aria-expanded", String(open));
      item.append(make("button", { type: "button", "data-place": id,
        text: `${visible.folds(id) ? (open ? "▾ " : "▸ ") : "  "}${label ? `${label} → ` : ""}${node.title}, ` +
          `${node.objects ? `${objects(node.objects)}, ` : ""}${size(node.retained_bytes)}${seen.has(id) ? " (above)" : ""}`,
        onclick: () => { choose(id); visible.toggle(id); draw(); tree.querySelector(`[data-place="${id}"]`)?.focus(); } }));
      if (open) {
        seen.add(id);
        item.append(make("ul", { role: "group" },
          ...visible.children.get(id).map((edge) => branch(edge.target, edge.label, level + 1))));
      }
      return item;
    };
    tree.replaceChildren(...visible.roots.map((id) => branch(id, "", 1)));
  }

  function choose(id) {
    current = id;
    panel.replaceChildren(details(visible.nodes.get(id), visible));
    cy.nodes().unselect();
    cy.$id(`n${id}`).select();
    model.set("selected", id);
    model.save_changes();
  }

  function toggle(id) { visible.toggle(id); draw(); choose(id); }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    cy.elements().removeClass("found dim");
    if (!wanted) return;
    const hits = graph.nodes.filter((node) =>
      `${node.title}\n${node.label}\n${node.path}\n${node.file ?? ""}\n${node.examples.join("\n")}`.toLowerCase().includes(wanted));
    const before = visible.ids().size;
    hits.slice(0, FEW).forEach((node) => visible.reveal(node.id));
    if (visible.ids().size !== before) { draw(); return; }
    cy.elements().addClass("dim");
    hits.forEach((node) => cy.$id(`n${node.id}`).removeClass("dim").addClass("found"));
    status.textContent = `${hits.length} of ${graph.nodes.length} places contain “${search.value.trim()}”.`;
  }

  function step(key) {
    const ids = visible.ids();
    if (current === null || !ids.has(current)) return choose(visible.roots[0]);
    const at = cy.$id(`n${current}`).position();
    const ahead = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
    const reach = (node) => {
      const dx = node.position("x") - at.x, dy = node.position("y") - at.y;
      const along = dx * ahead[0] + dy * ahead[1], aside = Math.abs(dx * ahead[1]) + Math.abs(dy * ahead[0]);
      return along > 1 ? along + 2 * aside : Infinity;
    };
    const nearest = cy.nodes().toArray().reduce((best, node) => (reach(node) < reach(best) ? node : best));
    if (reach(nearest) < Infinity) choose(nearest.data("number"));
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow")) step(event.key);
    else if ((event.key === "Enter" || event.key === " ") && current !== null) toggle(current);
    else if (event.key === "+" || event.key === "=") cy.zoom({ level: cy.zoom() * 1.2, renderedPosition: middle() });
    else if (event.key === "-") cy.zoom({ level: cy.zoom() / 1.2, renderedPosition: middle() });
    else if (event.key === "0") cy.fit(undefined, 30);
    else return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has commands on these keys
  });
  const middle = () => ({ x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 });

  cy.on("tap", "node", (event) => { choose(event.target.data("number")); canvas.focus({ preventScroll: true }); });
  cy.on("dbltap", "node", (event) => toggle(event.target.data("number")));
  search.addEventListener("keydown", (event) => event.stopPropagation());
  el.addEventListener("fx-toggle", (event) => toggle(event.detail));

  const restyle = () => { root.dataset.theme = isDark() ? "dark" : "light"; cy.style(stylesheet(palette, narrow)); };
  const watcher = new MutationObserver(restyle);
  const host = document.querySelector("[data-jp-theme-light]");
  if (host) watcher.observe(host, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", restyle);
  const sizes = new ResizeObserver(() => {
    if (listed || !canvas.clientWidth) return;
    if (narrow === canvas.clientWidth < PHONE) return fit();
    narrow = !narrow;
    restyle();
    draw();
  });
  sizes.observe(canvas);
  restyle();
  draw();
  const first = startingPlace(graph, visible);
  if (first !== undefined) { visible.reveal(first); draw(); choose(first); }
  if (!listed) fit();
  return () => { watcher.disconnect(); sizes.disconnect(); media.removeEventListener("change", restyle); cy.destroy(); };
}

export default { render };

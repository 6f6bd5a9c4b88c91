/** The list of clips to record: every clothing in every light, what is done and what is missing. */

import { byId, make, write } from "./dom.js";

const MARK = { done: "✓", doubtful: "?", missing: "·" };
const WORD = { done: "done", doubtful: "doubtful, better once more", missing: "missing" };

let names = new Map();

/** The clip's name that the list proposes for these tags; undefined where it knows none. */
export function proposedFor(clothing, lighting) {
  return names.get(`${clothing} ${lighting}`);
}

/** Shows the list; `onPick(clothing, lighting)` is called when one is chosen to be recorded. */
export function showProtocol(protocol, onPick) {
  names = new Map();
  protocol.rows.forEach((clothing, i) =>
    protocol.columns.forEach((lighting, j) => names.set(`${clothing} ${lighting}`, protocol.cells[i][j].proposed)),
  );
  write(byId("protocol-count"), `${protocol.done} of ${protocol.total}`);
  const head = make("tr", {}, make("td"), ...protocol.columns.map((light) => make("th", { scope: "col", text: light })));
  const rows = protocol.rows.map((clothing, i) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: clothing }),
      ...protocol.columns.map((lighting, j) => make("td", {}, cellOf(protocol.cells[i][j], clothing, lighting, onPick))),
    ),
  );
  const table = make("table", { class: "protocol" }, make("thead", {}, head), make("tbody", {}, ...rows));
  byId("protocol").replaceChildren(table);
}

function cellOf(cell, clothing, lighting, onPick) {
  const clips = cell.clips.length ? `: ${cell.clips.join(", ")}` : "";
  return make(
    "button",
    {
      type: "button",
      class: `cell ${cell.state}`,
      "aria-label": `${clothing}, ${lighting}: ${WORD[cell.state]}${clips}. Record this`,
      onclick: () => onPick(clothing, lighting),
    },
    make("span", { class: "mark", text: MARK[cell.state], "aria-hidden": "true" }),
    make("span", { text: cell.state === "missing" ? "to do" : `${Math.round(cell.seconds)} s` }),
  );
}

/** The socket: states, heatmaps and drawn pictures as they come; it comes back by itself when it was lost. */

import { get, whenOver } from "./api.js";
import { current, take, tell } from "./store.js";

const HEAT = 1;
const DRAWN = 2;
const SILENT_MS = 6000; // a state comes every second: after so long without any the connection is dead
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

let socket = null;
let waitMs = FIRST_WAIT_MS;
let retry = 0;
let heardMs = 0;
let wants = ["heat"];
let link = "joining"; // joining, up, gone, over

/** Opens the socket and keeps it open. */
export function join() {
  whenOver(() => setLink("over"));
  connect();
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => !document.hidden && hurry());
  window.addEventListener("online", hurry);
}

/** Tries again at once, unless it is connected. */
export function hurry() {
  if (link === "gone") {
    waitMs = FIRST_WAIT_MS;
    connect();
  }
}

/** What the page wants besides states: "heat", "drawn". */
export function want(kinds) {
  wants = kinds;
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ want: wants }));
}

/** How the connection is: joining, up, gone or over (the key is no longer good). */
export function linkNow() {
  return link;
}

function connect() {
  clearTimeout(retry);
  drop();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/api/stream`);
  opened.binaryType = "arraybuffer";
  socket = opened;
  heardMs = performance.now();
  opened.onopen = () => want(wants);
  opened.onmessage = (event) => {
    heardMs = performance.now();
    if (typeof event.data === "string") hear(JSON.parse(event.data));
    else seeFrame(event.data);
  };
  opened.onclose = () => {
    if (socket === opened) lost();
  };
}

/** Lets go of a socket; nothing it still says counts. */
function drop() {
  if (!socket) return;
  const old = socket;
  socket = null;
  old.onopen = old.onmessage = old.onclose = null;
  old.close();
}

async function lost() {
  drop();
  // A socket does not say why it was refused: a plain request does.
  try {
    await get("/api/state");
  } catch (refusal) {
    if (refusal.code === "token") return;
  }
  setLink("gone");
  retry = setTimeout(connect, waitMs);
  tell("retry", waitMs);
  waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS) * (0.9 + 0.2 * Math.random());
}

function watch() {
  if (socket && performance.now() - heardMs > SILENT_MS) lost();
}

function hear(message) {
  if (message.error) tell("crowded", message.error);
  if (!message.state) return;
  const before = current();
  const returned = link === "gone" || (before && before.server_id !== message.state.server_id);
  waitMs = FIRST_WAIT_MS;
  take(message.state);
  setLink("up");
  if (returned) tell("back", message.state);
}

function seeFrame(buffer) {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  const sequence = view.getUint32(4, true);
  const ms = view.getFloat64(8, true);
  if (kind === HEAT) {
    const raw = new Int16Array((buffer.byteLength - 16) / 2);
    for (let index = 0; index < raw.length; index += 1) raw[index] = view.getInt16(16 + 2 * index, true);
    tell("heat", { sequence, ageMs: ms, raw });
  } else if (kind === DRAWN) {
    tell("drawn", { sequence, latencyMs: ms, file: new Uint8Array(buffer, 16) });
  }
}

function setLink(fresh) {
  if (link === fresh) return;
  link = fresh;
  tell("link", link);
}

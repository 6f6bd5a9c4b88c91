/** While it records: a state nobody can overlook, the time, both pictures, and where the person has not yet been. */

import { byId, note, show, write } from "./dom.js";
import { CameraView } from "./camera.js";
import { celsiusOf, HeatView } from "./heat.js";
import { veilOf } from "./live.js";
import { say } from "./say.js";
import { current, on } from "./store.js";
import { linkNow } from "./stream.js";
import { tabNow } from "./tabs.js";
import { clock, count, sentence, tagsOf, troubleOf } from "./words.js";

const ENOUGH_S = 1; // in a thermal pixel, for it to count as visited

/** Starts the display. */
export function startRunning() {
  const heat = new HeatView(byId("record-heat"));
  const camera = new CameraView(byId("record-camera"));
  let phase = null;
  let heardAtMs = 0;

  on("heat", (frame) => {
    const state = current();
    if (tabNow() === "record" && state?.recording) heat.show(celsiusOf(frame.raw), state.sensor.shape);
  });
  const showState = (state) => {
    const running = state.recording;
    show(byId("running"), Boolean(running));
    camera.want(Boolean(running) && tabNow() === "record");
    heardAtMs = performance.now();
    announce(phase, running, state);
    phase = running?.phase ?? null;
    if (!running) return;
    const [width, height] = state.camera.size ?? [4, 3];
    byId("record-camera").parentElement.style.setProperty("--ratio", `${width} / ${height}`);
    note(byId("record-camera-veil"), veilOf(state.camera, "camera"));
    note(byId("record-heat-veil"), veilOf(state.sensor, "sensor"));
    byId("running-head").classList.toggle("counting", running.phase === "countdown");
    write(byId("running-what"), `${running.clip_id}: ${tagsOf(running)}`);
    write(byId("running-count"), `${count(running.heatmaps, "heatmap")}, ${count(running.images, "picture")}${running.dropped ? `, ${running.dropped} lost` : ""}`);
    show(byId("running-count"), running.phase === "recording");
    note(byId("running-warn"), troubleOf(state.health));
    showCoverage(running);
    showTime();
  };
  const showTime = () => {
    const running = current()?.recording;
    if (!running) return;
    const since = linkNow() === "up" ? (performance.now() - heardAtMs) / 1000 : 0;
    if (running.phase === "countdown") {
      write(byId("running-word"), running.by_me ? "Starts in" : `${whoOf(current())} starts in`);
      write(byId("running-time"), String(Math.max(1, Math.ceil((running.countdown_s ?? 0) - since))));
      return;
    }
    const whole = running.until === null || running.until === undefined ? Infinity : running.until;
    const seconds = Math.min(running.seconds + since, whole);
    write(byId("running-word"), linkNow() === "up" ? (running.by_me ? "Recording" : `${whoOf(current())} records`) : "Recording, as last seen");
    write(byId("running-time"), Number.isFinite(whole) ? `${clock(seconds)} of ${clock(whole)}` : clock(seconds));
  };
  on("state", showState);
  on("link", () => current() && showTime());
  on("tab", () => camera.want(Boolean(current()?.recording) && tabNow() === "record"));
  on("back", () => camera.restart());
  setInterval(() => tabNow() === "record" && showTime(), 200);
}

function whoOf(state) {
  return state.seat.by ?? "Another phone";
}

function announce(phase, running, state) {
  const now = running?.phase ?? null;
  if (now === phase) return;
  if (now === "countdown") say(`Recording starts in ${Math.ceil(running.countdown_s ?? 0)} seconds.`);
  if (now === "recording") say(`${running.by_me ? "Recording" : `${whoOf(state)} records`} ${running.clip_id}.`);
  if (now && tabNow() === "record") window.scrollTo({ top: 0 });
  if (now && running.by_me && tabNow() === "record") setTimeout(() => byId("stop").focus({ preventScroll: true }), 0);
}

function showCoverage(running) {
  const seen = running.coverage?.seen_s;
  const shown = running.phase === "recording" && running.occupants > 0 && Boolean(seen);
  show(byId("coverage"), shown);
  if (!shown) return;
  const [rows, columns] = running.coverage.shape;
  const canvas = byId("coverage-grid");
  const unit = 16;
  canvas.width = columns * unit;
  canvas.height = rows * unit;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  let visited = 0;
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      const share = Math.min(1, seen[i][j] / ENOUGH_S);
      if (share === 1) visited += 1;
      context.globalAlpha = 1;
      context.fillStyle = style.getPropertyValue("--empty");
      context.fillRect(j * unit, i * unit, unit - 1, unit - 1);
      context.globalAlpha = share;
      context.fillStyle = style.getPropertyValue("--full");
      context.fillRect(j * unit, i * unit, unit - 1, unit - 1);
    }
  }
  canvas.setAttribute("aria-label", `The person has been in ${visited} of ${rows * columns} places`);
  write(byId("coverage-count"), `${visited} of ${rows * columns} places`);
  const reached = (first, last) => seen.some((row) => row.slice(first, last).some((seconds) => seconds >= ENOUGH_S));
  const enough = reached(0, 2) && reached(columns - 2, columns);
  write(byId("coverage-hint"), sentence(running.coverage.hint) || (enough ? "Everywhere it matters: enough." : "Walk about: left, right, near, far."));
}

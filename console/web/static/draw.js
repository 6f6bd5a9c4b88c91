/** Draw: the person in the room from heat alone, with the camera hidden unless asked for. */

import { get, post } from "./api.js";
import { byId, chosenOf, fillChoices, make, note, show, write } from "./dom.js";
import { CameraView } from "./camera.js";
import { celsiusOf, HeatView } from "./heat.js";
import { veilOf } from "./live.js";
import { smallPicture } from "./picture.js";
import { say } from "./say.js";
import { current, on } from "./store.js";
import { want } from "./stream.js";
import { tabNow } from "./tabs.js";
import { count, sentence } from "./words.js";

const BEGIN_MS = 180000; // a Pi needs its time to load what draws
const STALE_MS = 1500; // a drawn picture older than so must not pass for now

let heat = null;
let camera = null;
let newest = -1; // sequence of the last picture that was shown
let waiting = null; // the newest picture that is not yet decoded; older ones are dropped
let decoding = false;
let drawnAtMs = 0;
let latencyMs = null;
let drawing = false;
let withCamera = false;
let busy = false;

/** Starts the part. */
export function startDraw() {
  heat = new HeatView(byId("draw-heat"));
  camera = new CameraView(byId("draw-camera"));
  on("tab", () => {
    look();
    if (tabNow() === "draw") refresh();
  });
  on("back", () => {
    newest = -1;
    camera.restart();
    refresh();
  });
  on("state", showState);
  on("heat", (frame) => {
    if (tabNow() === "draw" && drawing) heat.show(celsiusOf(frame.raw), current()?.sensor.shape ?? [8, 8]);
  });
  on("drawn", take);
  byId("draw-form").addEventListener("submit", (event) => {
    event.preventDefault();
    press(begin);
  });
  byId("draw-stop").addEventListener("click", () => press(() => post("/api/draw/stop")));
  byId("draw-show-camera").addEventListener("click", () => {
    withCamera = !withCamera;
    byId("draw-show-camera").setAttribute("aria-pressed", String(withCamera));
    look();
  });
  byId("source-file").addEventListener("change", upload);
  document.addEventListener("visibilitychange", look); // nothing is drawn for a page that nobody sees
  setInterval(veil, 500);
}

/** Takes what this tab needs from the rig, and nothing when it is not looked at. */
function look() {
  const here = tabNow() === "draw" && !document.hidden;
  want(here ? ["heat", "drawn"] : ["heat"]);
  const shown = here && drawing && withCamera;
  show(byId("draw-camera-stage"), shown);
  camera.want(shown);
}

function showState(state) {
  const before = drawing;
  drawing = Boolean(state.drawing);
  show(byId("draw-pictures"), drawing);
  show(byId("draw-switches"), drawing);
  show(byId("draw-figures"), drawing);
  show(byId("draw-form"), !drawing);
  show(byId("draw-intro"), !drawing);
  show(byId("draw-go"), !drawing);
  show(byId("draw-stop"), drawing);
  if (before !== drawing) {
    newest = -1;
    drawnAtMs = 0;
    latencyMs = null;
    look();
    if (drawing) say("Drawing from heat.");
    if (!drawing) refresh();
  }
  if (!drawing) return;
  const { model, source, runtime, fps, dropped } = state.drawing;
  const late = latencyMs ?? state.drawing.latency_ms;
  write(
    byId("draw-figures"),
    [
      late === null || late === undefined ? "Starting" : `${Math.round(late)} ms from heat to picture`,
      fps ? `${fps.toFixed(1)} a second` : "",
      dropped ? `${count(dropped, "stale one")} dropped` : "",
      `${model} with ${source}`,
      runtime,
    ].filter(Boolean).join(" · "),
  );
  const [width, height] = state.camera.size ?? [4, 3];
  byId("draw-camera-stage").style.setProperty("--ratio", `${width} / ${height}`);
  note(byId("draw-heat-veil"), veilOf(state.sensor, "sensor"));
  note(byId("draw-camera-veil"), veilOf(state.camera, "camera"));
}

function take(frame) {
  if (!drawing || tabNow() !== "draw") return;
  if (frame.sequence <= newest && newest - frame.sequence < 1000) return; // late: something newer is shown already
  waiting = frame;
  if (!decoding) decode();
}

async function decode() {
  decoding = true;
  while (waiting) {
    const frame = waiting;
    waiting = null;
    try {
      const bitmap = await createImageBitmap(new Blob([frame.file]));
      const canvas = byId("drawn");
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      byId("drawn-stage").style.setProperty("--ratio", `${bitmap.width} / ${bitmap.height}`);
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      newest = frame.sequence;
      latencyMs = frame.latencyMs;
      drawnAtMs = performance.now();
    } catch {
      // a picture cut short: the next one comes in a moment
    }
  }
  decoding = false;
  veil();
}

function veil() {
  if (!drawing || tabNow() !== "draw") return;
  const ageMs = performance.now() - drawnAtMs;
  const state = current();
  const words = !drawnAtMs
    ? "Warming up …"
    : ageMs > STALE_MS
      ? veilOf(state.sensor, "sensor") || `No new picture for ${Math.round(ageMs / 1000)} s`
      : "";
  note(byId("drawn-veil"), words);
}

async function refresh() {
  if (tabNow() !== "draw") return;
  try {
    const found = await get("/api/draw");
    const chosen = chosenOf(byId("models"));
    const models = found.models.map((one) => ({ value: one.name, text: one.name, says: one.available ? one.says : sentence(one.why), off: !one.available }));
    const model = models.find((one) => one.value === chosen && !one.off) ?? models.find((one) => !one.off);
    fillChoices(byId("models"), "model", models, model?.value ?? null, () => {});
    showSources(found.sources, chosenOf(byId("sources")));
    if (found.error && !drawing) write(byId("draw-refused"), sentence(found.error));
    if (!model) write(byId("draw-refused"), models.length ? "None of these can draw on this rig: see why above." : "There is nothing here that draws.");
  } catch (refusal) {
    write(byId("draw-refused"), sentence(refusal.message));
  }
}

function showSources(sources, chosen) {
  const kinds = { clip: "clip", picture: "your picture", shipped: "comes with lrt" };
  const first = sources.find((one) => one.name === chosen) ?? sources[0];
  byId("sources").replaceChildren(
    ...sources.map((one) => {
      const input = make("input", { type: "radio", name: "source", value: one.name });
      input.checked = one === first;
      const picture = one.kind === "clip" ? make("img", { class: "thumbnail", src: `/api/clips/${one.name}/thumb.jpg`, alt: "", loading: "lazy" }) : null;
      return make("label", { class: "choice source" }, input, picture, make("span", { class: "words" }, make("b", { text: one.name }), make("small", { text: kinds[one.kind] ?? "" })));
    }),
  );
}

async function upload() {
  const input = byId("source-file");
  const file = input.files[0];
  if (!file) return;
  write(byId("source-note"), "Taking the picture over …");
  try {
    const name = file.name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^[-_]+/, "").slice(0, 60) || "picture";
    const taken = await post("/api/draw/source", { name, data: await smallPicture(file) });
    await refresh();
    for (const each of byId("sources").querySelectorAll("input")) each.checked = each.value === taken.name;
    write(byId("source-note"), `${taken.name} is there and chosen.`);
  } catch (refusal) {
    write(byId("source-note"), sentence(refusal.message));
  }
  input.value = "";
}

async function begin() {
  const model = chosenOf(byId("models"));
  const source = chosenOf(byId("sources"));
  if (!model) throw new Error("Nothing here can draw: see why above");
  if (!source) throw new Error("Choose a clip or a picture first: its clothes and light are drawn");
  const button = byId("draw-go");
  write(button, "Getting ready …");
  try {
    await post("/api/draw", { model, source }, BEGIN_MS);
  } finally {
    write(button, "Draw");
  }
}

async function press(act) {
  if (busy) return;
  busy = true;
  write(byId("draw-refused"), "");
  try {
    await act();
  } catch (refusal) {
    write(byId("draw-refused"), sentence(refusal.message));
  } finally {
    busy = false;
  }
}

/** Calibrate: choose clips, run it, its verdict and the one thing to do. */

import { get, post } from "./api.js";
import { byId, chosenOf, fillChoices, make, show, write } from "./dom.js";
import { say } from "./say.js";
import { current, on } from "./store.js";
import { tabNow } from "./tabs.js";
import { count, length, sentence, tagsOf, when } from "./words.js";

let left = new Set(); // clips that the technician took out
let added = new Set(); // and those put in that the rig would leave out
let working = false;
let masks = null;

/** Starts the part. */
export function startCalibrate() {
  on("tab", (name) => name === "calibrate" && refresh());
  on("back", refresh);
  on("clips", refresh);
  on("state", showJob);
  byId("calibrate-all").addEventListener("click", () => {
    left = new Set();
    added = new Set();
    refresh();
  });
  byId("calibrate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("calibrate-cancel").addEventListener("click", () => post("/api/calibrate/cancel").catch(refuse));
}

function refuse(refusal) {
  write(byId("calibrate-refused"), sentence(refusal.message));
}

async function refresh() {
  if (tabNow() !== "calibrate") return;
  try {
    const found = await get("/api/calibrate");
    showClips(found.clips);
    showMasks(found.masks);
    showResult(found.result);
    if (found.error && !working) refuse({ message: found.error });
  } catch (refusal) {
    refuse(refusal);
  }
}

function showClips(clips) {
  show(byId("calibrate-empty"), clips.length === 0);
  show(byId("calibrate-all"), clips.length > 0);
  byId("calibrate-clips").replaceChildren(
    ...clips.map((clip) => {
      const box = make("input", { type: "checkbox", name: "clip", value: clip.clip_id, disabled: !clip.usable });
      box.checked = clip.usable && !left.has(clip.clip_id) && (!clip.why || added.has(clip.clip_id));
      box.addEventListener("change", () => {
        left[box.checked ? "delete" : "add"](clip.clip_id);
        added[box.checked ? "add" : "delete"](clip.clip_id);
      });
      const words = make("span", { class: "words" }, make("b", { text: clip.clip_id }), make("small", { text: clip.clothing ? `${tagsOf(clip)}${clip.seconds ? `, ${length(clip.seconds)}` : ""}` : "" }));
      if (clip.why) words.append(make("small", { class: "why", text: sentence(clip.why) }));
      return make("li", {}, make("label", { class: "check" }, box, words));
    }),
  );
}

function showMasks(sources) {
  const key = JSON.stringify(sources);
  if (key === masks) return;
  masks = key;
  const group = byId("masks");
  const chosen = chosenOf(group) ?? sources.find((one) => one.default && one.available)?.name ?? sources.find((one) => one.available)?.name ?? null;
  fillChoices(group, "masks", sources.map((one) => ({ value: one.name, text: one.name, says: one.says, off: !one.available })), chosen, () => {});
}

function showResult(result) {
  show(byId("result"), Boolean(result));
  if (!result) return;
  const pass = result.verdict === "PASS";
  byId("result").className = `card result ${pass ? "green" : "amber"}`;
  write(byId("verdict"), result.verdict);
  const kept = result.in_use === false ? " The calibration from before stays in use." : "";
  write(byId("verdict-advice"), (pass ? "The heat lies where it should. Nothing to do." : sentence(result.advice)) + kept);
  const overlay = byId("result-overlay");
  show(byId("result-large"), Boolean(result.overlay));
  const address = result.overlay ? `${result.overlay}?made=${encodeURIComponent(result.made)}` : "";
  if (address && overlay.getAttribute("src") !== address) {
    overlay.src = address;
    byId("result-large").href = address;
  }
  const spread = (name, digits) => (Number.isFinite(result.sds?.[name]) ? ` ± ${result.sds[name].toFixed(digits)}` : "");
  const facts = {
    "The sensor's centre": `${result.tx.toFixed(1)}, ${result.ty.toFixed(1)} px`,
    "One thermal pixel": `${result.s.toFixed(2)}${spread("s", 2)} px`,
    "Heat comes later by": `${Math.round(result.offset_ms)}${spread("offset_ms", 0)} ms`,
    From: result.clips.length > 3 ? count(result.clips.length, "clip") : result.clips.join(", "),
    Made: when(result.made),
  };
  byId("result-facts").replaceChildren(...Object.entries(facts).map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }))));
  show(byId("result-report").parentElement, Boolean(result.report));
  if (result.report) byId("result-report").href = result.report;
}

function showJob(state) {
  const job = state.job?.kind === "calibrate" ? state.job : null;
  show(byId("progress"), Boolean(job));
  show(byId("calibrate-go"), !job);
  show(byId("calibrate-cancel"), Boolean(job));
  show(byId("calibrate-form"), !job);
  if (job) {
    write(byId("calibrate-refused"), "");
    const time = job.left_s === null || job.left_s === undefined ? "" : `, about ${length(Math.max(1, job.left_s))} left`;
    write(byId("progress-text"), `${sentence(job.phase).replace(/\.$/, "")}${time}`);
    const bar = byId("progress-bar");
    if (job.total > 0) {
      bar.max = job.total;
      bar.value = job.done;
    } else bar.removeAttribute("value");
  }
  if (working && !job) finished();
  working = Boolean(job);
}

async function finished() {
  await refresh();
  if (tabNow() === "calibrate" && !byId("calibrate-refused").textContent) {
    say(`Calibration: ${byId("verdict").textContent}. ${byId("verdict-advice").textContent}`);
    window.scrollTo({ top: 0 });
  }
}

async function run() {
  write(byId("calibrate-refused"), "");
  const clips = [...byId("calibrate-clips").querySelectorAll("input:checked")].map((box) => box.value);
  if (!clips.length) return refuse({ message: "Choose at least one clip with a person in view" });
  if (current()?.recording) return refuse({ message: "It records now: calibrate when the clip is done" });
  try {
    await post("/api/calibrate", { clips, masks: chosenOf(byId("masks")) });
    byId("calibrate-cancel").focus({ preventScroll: true });
  } catch (refusal) {
    refuse(refusal);
  }
  return undefined;
}

/** Live: heat and camera side by side or one over the other, and whether all is well. */

import { byId, note, show, write } from "./dom.js";
import { CameraView } from "./camera.js";
import { paintBar } from "./colours.js";
import { celsiusOf, HeatView } from "./heat.js";
import { layOver, whyNot } from "./overlay.js";
import { current, keep, on, recall } from "./store.js";
import { linkNow } from "./stream.js";
import { tabNow } from "./tabs.js";
import { age, degrees, disk, LIGHT, sentence, troubleOf } from "./words.js";

const LATE_S = 1.5; // older than so, a picture is veiled: it must not pass for now

/** Words on a veil over a picture that is not of now; empty where it is. */
export function veilOf(device, name) {
  if (linkNow() !== "up") return "No connection";
  if (device.problem) return sentence(device.problem.split("; ")[0]);
  if (device.age_s === null) return `Waiting for the ${name}`;
  return device.age_s > LATE_S ? `Last ${name === "sensor" ? "heatmap" : "picture"} ${age(device.age_s)}` : "";
}

/** Starts the part. */
export function startLive() {
  const reading = byId("live-reading");
  const heat = new HeatView(byId("live-heat"), {
    onRead: (words) => write(reading, words || "Touch the heat to read it"),
    onRange: (low, high) => {
      write(byId("live-low"), degrees(low));
      write(byId("live-high"), degrees(high));
    },
  });
  const camera = new CameraView(byId("live-camera"));
  let over = recall("over", false);
  heat.smooth = recall("smooth", true);
  paintBar(byId("live-bar"));

  const showSwitches = () => {
    byId("live-smooth").setAttribute("aria-pressed", String(heat.smooth));
    const why = over ? whyNot(current()) : "";
    byId("live-over").setAttribute("aria-pressed", String(over));
    note(byId("live-over-why"), current() ? why : "");
    show(byId("live-overlay"), over && Boolean(current()) && !why);
  };
  byId("live-smooth").addEventListener("click", () => {
    heat.smooth = !heat.smooth;
    keep("smooth", heat.smooth);
    heat.paint();
    showSwitches();
  });
  byId("live-over").addEventListener("click", () => {
    over = !over;
    keep("over", over);
    showSwitches();
  });

  on("heat", (frame) => {
    if (tabNow() !== "live") return;
    const state = current();
    heat.show(celsiusOf(frame.raw), state?.sensor.shape ?? [8, 8]);
    if (over && state && !whyNot(state)) layOver(byId("live-overlay"), byId("live-heat"), state.calibration, state.sensor.shape);
  });
  const showState = (state) => {
    if (!state) return;
    const [width, height] = state.camera.size ?? [4, 3];
    byId("live-camera-stage").style.setProperty("--ratio", `${width} / ${height}`);
    note(byId("live-camera-veil"), veilOf(state.camera, "camera"));
    note(byId("live-heat-veil"), veilOf(state.sensor, "sensor"));
    write(byId("live-camera-age"), age(state.camera.age_s));
    write(byId("live-heat-age"), age(state.sensor.age_s));
    const up = linkNow() !== "gone" && linkNow() !== "over";
    byId("live-health").className = `card health ${up ? state.health.level : ""}`;
    write(byId("live-health-word"), up ? LIGHT[state.health.level] : "Away");
    write(byId("live-advice"), up ? troubleOf(state.health) || "Heat and camera come in as they should." : "The rig does not answer.");
    write(byId("live-disk"), disk(state.disk_minutes));
    write(byId("live-folder"), state.clips_folder);
    write(byId("live-calibration"), state.calibration ? `${state.calibration.verdict === "PASS" ? "holds" : "doubtful"} (${state.calibration.verdict})` : "none yet");
    showSwitches();
  };
  on("state", showState);
  on("link", () => showState(current()));
  on("back", () => camera.restart());
  on("tab", (name) => camera.want(name === "live"));
  let cameraProblem = null;
  on("state", (state) => {
    // a stream that outlived the camera's absence goes on; a fresh one costs nothing and is certain
    if (cameraProblem && !state.camera.problem) camera.restart();
    cameraProblem = state.camera.problem;
  });
  showSwitches();
}

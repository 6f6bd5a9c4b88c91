/** Plays a clip: its heat and the picture of the same moment, at the clip's own pace or under the finger. */

import { get } from "./api.js";
import { byId, write } from "./dom.js";
import { celsiusOf, HeatView } from "./heat.js";

const QUARTER = 4; // raw heat is in quarter-degrees

/** The player in the clip's dialog. */
export class Player {
  constructor() {
    this.image = byId("player-image");
    this.seek = byId("player-seek");
    this.button = byId("player-play");
    this.heat = new HeatView(byId("player-heat"), { onRead: (words) => write(byId("player-reading"), words) });
    this.clip = null;
    this.frames = null;
    this.at = 0;
    this.loading = false; // one picture at a time is asked for; the newest wish wins
    this.wanted = null;
    this.timer = 0;
    this.button.addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    this.seek.addEventListener("input", () => {
      this.pause();
      this.go(Number(this.seek.value));
    });
    this.image.addEventListener("load", () => {
      const { image } = this;
      image.parentElement.style.setProperty("--ratio", `${image.naturalWidth} / ${image.naturalHeight}`);
    });
    for (const name of ["load", "error"]) this.image.addEventListener(name, () => this.#loaded());
  }

  /** Opens a clip at its beginning. */
  async open(clip) {
    this.close();
    this.clip = clip;
    this.button.disabled = true;
    const frames = await get(`/api/clips/${clip.clip_id}/frames`);
    if (this.clip !== clip) return; // closed or changed meanwhile
    if (!frames.count) throw new Error("This clip holds no heatmaps.");
    const bytes = Uint8Array.from(atob(frames.heat), (letter) => letter.charCodeAt(0));
    this.raw = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    this.frames = frames;
    this.seek.max = String(frames.count - 1);
    this.button.disabled = false;
    this.go(0);
  }

  /** Goes to a heatmap. */
  go(index) {
    const { frames } = this;
    if (!frames) return;
    this.at = Math.max(0, Math.min(frames.count - 1, index));
    const [rows, columns] = frames.shape;
    const start = this.at * rows * columns;
    this.heat.show(celsiusOf(this.raw.subarray(start, start + rows * columns)), frames.shape, [frames.low, Math.max(frames.high, frames.low + 1 / QUARTER)]);
    this.seek.value = String(this.at);
    const words = `${this.#time(this.at).toFixed(1)} s of ${this.#time(frames.count - 1).toFixed(1)} s`;
    write(byId("player-time"), words);
    this.seek.setAttribute("aria-valuetext", words);
    this.#load(this.at);
  }

  /** Plays from here, or from the beginning when it stands at the end. */
  play() {
    if (!this.frames) return;
    if (this.at >= this.frames.count - 1) this.go(0);
    const beganMs = performance.now() - 1000 * this.#time(this.at);
    const step = () => {
      const seconds = (performance.now() - beganMs) / 1000;
      let next = this.at;
      while (next < this.frames.count - 1 && this.#time(next + 1) <= seconds) next += 1;
      if (next !== this.at) this.go(next);
      if (next >= this.frames.count - 1) this.pause();
      else this.timer = requestAnimationFrame(step);
    };
    this.timer = requestAnimationFrame(step);
    this.#label(true);
  }

  /** Stands still. */
  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = 0;
    this.#label(false);
  }

  /** Lets go of the clip. */
  close() {
    this.pause();
    this.clip = this.frames = this.wanted = null;
    this.loading = false;
    this.image.removeAttribute("src");
    write(byId("player-time"), "");
    write(byId("player-reading"), "");
  }

  #label(playing) {
    this.button.setAttribute("aria-pressed", String(playing));
    write(this.button, playing ? "Pause" : "Play");
  }

  #time(index) {
    return this.frames.times_s[index] - this.frames.times_s[0];
  }

  #load(index) {
    this.wanted = index;
    if (this.loading || !this.clip) return;
    this.loading = true;
    this.wanted = null;
    this.image.alt = `Picture at ${this.#time(index).toFixed(1)} s`;
    this.image.src = `/api/clips/${this.clip.clip_id}/image/${index}.jpg`;
  }

  #loaded() {
    this.loading = false;
    if (this.wanted !== null) this.#load(this.wanted);
  }
}

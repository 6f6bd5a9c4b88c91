/** A heatmap on a canvas: coloured, smooth or in squares, and read under the finger. */

import { colourAt } from "./colours.js";
import { degrees } from "./words.js";

const FINE = 16; // painted points along one thermal pixel when smooth
const LEAST_SPAN_C = 4; // an empty room is not stretched until its noise looks like people
const EASE = 0.15; // the share by which the scale follows a frame, so that it does not flicker

/** Quarter-degrees to degC. */
export function celsiusOf(raw) {
  return Float32Array.from(raw, (value) => value / 4);
}

/**
 * Values between the centres of thermal pixels, bilinear; the outermost half pixel keeps its edge's value.
 * @param {Float32Array} celsius rows x columns
 * @param {number} row, column where, in pixels from the upper left edge
 */
function valueAt(celsius, rows, columns, row, column) {
  const i = Math.max(0, Math.min(rows - 1, row - 0.5));
  const j = Math.max(0, Math.min(columns - 1, column - 0.5));
  const top = Math.min(Math.floor(i), Math.max(rows - 2, 0));
  const left = Math.min(Math.floor(j), Math.max(columns - 2, 0));
  const down = Math.min(top + 1, rows - 1);
  const right = Math.min(left + 1, columns - 1);
  const [a, b] = [i - top, j - left];
  const upper = celsius[top * columns + left] * (1 - b) + celsius[top * columns + right] * b;
  const lower = celsius[down * columns + left] * (1 - b) + celsius[down * columns + right] * b;
  return upper * (1 - a) + lower * a;
}

/** Draws heatmaps on a canvas; `onRead(words)` hears what is under the finger, `onRange(low, high)` what is there. */
export class HeatView {
  constructor(canvas, { onRead = null, onRange = null } = {}) {
    this.canvas = canvas;
    this.smooth = true;
    this.celsius = null;
    this.shape = [8, 8];
    this.low = null;
    this.high = null;
    this.onRead = onRead;
    this.onRange = onRange;
    this.point = null; // row and column that are read
    if (onRead) this.#listen();
  }

  /** Shows a heatmap. `range`: a fixed [low, high] in degC instead of one that follows the frames. */
  show(celsius, shape, range = null) {
    this.celsius = celsius;
    this.shape = shape;
    const coldest = celsius.reduce((a, b) => Math.min(a, b));
    const warmest = celsius.reduce((a, b) => Math.max(a, b));
    const spare = Math.max(0, LEAST_SPAN_C - (warmest - coldest)) / 2;
    const [low, high] = range ?? [coldest - spare, warmest + spare];
    const ease = range || this.low === null ? 1 : EASE;
    this.low = ease === 1 ? low : this.low + ease * (low - this.low);
    this.high = ease === 1 ? high : this.high + ease * (high - this.high);
    this.paint();
    this.onRange?.(coldest, warmest);
    this.#read();
  }

  /** Paints the last heatmap again, after a switch. */
  paint() {
    if (!this.celsius) return;
    const [rows, columns] = this.shape;
    const fine = this.smooth ? FINE : 1;
    const { canvas } = this;
    if (canvas.width !== columns * fine || canvas.height !== rows * fine) {
      canvas.width = columns * fine;
      canvas.height = rows * fine;
    }
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    let at = 0;
    for (let y = 0; y < canvas.height; y += 1) {
      for (let x = 0; x < canvas.width; x += 1) {
        const value = this.smooth
          ? valueAt(this.celsius, rows, columns, (y + 0.5) / fine, (x + 0.5) / fine)
          : this.celsius[y * columns + x];
        pixels[at] = colourAt(value, this.low, this.high);
        at += 1;
      }
    }
    context.putImageData(image, 0, 0);
    canvas.classList.toggle("squares", !this.smooth);
    this.#mark(context, fine);
  }

  #mark(context, fine) {
    if (!this.point) return;
    const [row, column] = this.point;
    const unit = Math.max(1, fine / 8);
    context.lineWidth = unit;
    for (const [colour, inset] of [["#000", 0], ["#fff", unit]]) {
      context.strokeStyle = colour;
      if (fine > 1) context.strokeRect(column * fine + inset, row * fine + inset, fine - 2 * inset, fine - 2 * inset);
    }
  }

  #listen() {
    const { canvas } = this;
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      const [rows, columns] = this.shape;
      const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
      const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
      this.#moveTo(row, column);
    };
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointermove", (event) => (event.pointerType === "mouse" || event.buttons) && follow(event));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#forget());
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === "Escape" && this.point) this.#forget();
      if (!step) return;
      event.preventDefault();
      const [row, column] = this.point ?? [Math.floor(this.shape[0] / 2) - step[0], Math.floor(this.shape[1] / 2) - step[1]];
      this.#moveTo(row + step[0], column + step[1]);
    });
  }

  #moveTo(row, column) {
    const [rows, columns] = this.shape;
    this.point = [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
    this.paint();
    this.#read();
  }

  #forget() {
    this.point = null;
    this.paint();
    this.onRead("");
  }

  #read() {
    if (!this.onRead || !this.point || !this.celsius) return;
    const [row, column] = this.point;
    this.onRead(`${degrees(this.celsius[row * this.shape[1] + column])} at row ${row + 1}, column ${column + 1}`);
  }
}

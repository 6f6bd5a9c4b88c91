/** The colour map of heat: from dark violet (cold) over red to pale yellow (warm), brighter with every step. */

// Anchors of an inferno-like map: its lightness grows evenly, so that it also reads in grey and by the colour-blind.
const ANCHORS = [
  [4, 3, 18], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85],
  [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164],
];

/** 256 colours, RGBA as one little-endian number each, for a Uint32 view of ImageData. */
const MAP = Uint32Array.from({ length: 256 }, (_, index) => {
  const at = (index / 255) * (ANCHORS.length - 1);
  const low = Math.min(Math.floor(at), ANCHORS.length - 2);
  const [red, green, blue] = ANCHORS[low].map((value, k) => Math.round(value + (at - low) * (ANCHORS[low + 1][k] - value)));
  return (255 << 24) | (blue << 16) | (green << 8) | red;
});

/** The colour of a temperature between low and high, degC. */
export function colourAt(celsius, low, high) {
  const share = (celsius - low) / Math.max(high - low, 1e-6);
  return MAP[Math.max(0, Math.min(255, Math.round(255 * share)))];
}

/** Paints the map from left to right on a canvas one pixel high. */
export function paintBar(canvas) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  new Uint32Array(image.data.buffer).set(MAP);
  canvas.width = 256;
  canvas.height = 1;
  context.putImageData(image, 0, 0);
}

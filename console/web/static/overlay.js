/** Heat laid over the camera's picture, where the calibration says that it lies. */

/**
 * The edges between thermal pixels along one side, in pixels of the recorded image: t + s u (1 + k u^2).
 * @param {number} count thermal pixels along this side
 * @param {number} centre tx or ty, px
 * @param {number} scale one thermal pixel, px
 * @param {number} bend the lens term k
 * @returns {number[]} count + 1 edges
 */
function edges(count, centre, scale, bend) {
  return Array.from({ length: count + 1 }, (_, index) => {
    const u = index - count / 2;
    return centre + scale * u * (1 + bend * u * u);
  });
}

/**
 * Lays a painted heatmap over a picture.
 * @param {HTMLCanvasElement} over in the picture's box; gets the picture's own pixels as its size
 * @param {HTMLCanvasElement} heat a HeatView's canvas, upright
 * @param {{tx, ty, s, lens_k, image_size: [number, number]}} calibration
 * @param {[number, number]} shape rows and columns of the heatmap
 */
export function layOver(over, heat, calibration, shape) {
  const [width, height] = calibration.image_size;
  if (over.width !== width || over.height !== height) {
    over.width = width;
    over.height = height;
  }
  const [rows, columns] = shape;
  const xs = edges(columns, calibration.tx, calibration.s, calibration.lens_k ?? 0).map(Math.round);
  const ys = edges(rows, calibration.ty, calibration.s, calibration.lens_k ?? 0).map(Math.round);
  const context = over.getContext("2d");
  context.clearRect(0, 0, width, height);
  context.globalAlpha = 0.55;
  const [across, down] = [heat.width / columns, heat.height / rows];
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      context.drawImage(heat, j * across, i * down, across, down, xs[j], ys[i], xs[j + 1] - xs[j], ys[i + 1] - ys[i]);
    }
  }
  context.globalAlpha = 1;
}

/** Why heat cannot be laid over the camera now; empty where it can. */
export function whyNot(state) {
  if (!state?.calibration) return "Not calibrated yet: run Calibrate first, then the heat can be laid over the picture.";
  const [width, height] = state.calibration.image_size;
  const [cameraWidth, cameraHeight] = state.camera.size ?? [width, height];
  if (width !== cameraWidth || height !== cameraHeight) {
    return `The calibration is for pictures of ${width}x${height}, the camera gives ${cameraWidth}x${cameraHeight}: calibrate again.`;
  }
  return "";
}

/** A picture that the technician picks: made small on the phone, so that it travels in a moment. */

const LONGEST_PX = 1024; // the network draws 64 pixels; this is enough for any cut of it
const QUALITY = 0.92;

/**
 * A picture file as base64 of a JPEG, at most 1024 px along its longer side.
 * @param {File} file anything the browser can open
 * @returns {Promise<string>} base64 without the data: head
 */
export async function smallPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name} is no picture that this browser can open: use a JPEG or PNG.`);
  }
  const scale = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", QUALITY).split(",")[1];
}

/** The camera's moving picture in an <img>; it comes back by itself, and lets go when nobody looks. */

const AGAIN_MS = 1500;
const SINGLE_MS = 500; // between single pictures, when the rig already serves as many moving ones as it may

/** Shows the camera in an image element while it is wanted. */
export class CameraView {
  constructor(image) {
    this.image = image;
    this.wanted = false;
    this.single = false;
    this.number = 0;
    this.timer = 0;
    image.addEventListener("error", () => this.#failed());
    image.addEventListener("load", () => this.single && this.#later(SINGLE_MS));
    document.addEventListener("visibilitychange", () => this.want(this.asked));
  }

  /** Starts or stops; a page in the background stops by itself. */
  want(wanted) {
    this.asked = wanted;
    const really = Boolean(wanted) && !document.hidden;
    if (really === this.wanted) return;
    this.wanted = really;
    if (really) this.restart();
    else this.#stop();
  }

  /** Opens the stream anew: after the rig was away, its end is not told to an <img>. */
  restart() {
    this.single = false;
    if (this.wanted) this.#open();
  }

  #open() {
    clearTimeout(this.timer);
    this.number += 1; // a browser shares one stream between images of one address, and keeps a dead one
    this.image.src = `/api/camera.${this.single ? "jpg" : "mjpg"}?n=${Date.now()}-${this.number}`;
  }

  #stop() {
    clearTimeout(this.timer);
    this.image.removeAttribute("src");
  }

  #failed() {
    if (!this.wanted) return;
    this.single = !this.single;
    this.#later(this.single ? SINGLE_MS : AGAIN_MS);
  }

  #later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wanted && this.#open(), ms);
  }
}

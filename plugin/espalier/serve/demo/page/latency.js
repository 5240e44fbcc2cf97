import { byId, element } from "./dom.js";

const BARS = 40;
// A bar of full height; half of it is what a keystroke should take at most.
const FULL_MILLISECONDS = 100;

/** From the keystroke to the painted list, as this browser sees it. */
export class Latency {
  #began = 0;
  #channel = new MessageChannel();
  /** @type {() => void} */
  #painted = () => {};

  constructor() {
    this.#channel.port1.onmessage = () => this.#painted();
    const bars = Array.from({ length: BARS }, () => element("i"));
    byId("trace").replaceChildren(...bars);
  }

  /** @param {Event} event A keystroke. */
  begin(event) {
    this.#began = event.timeStamp;
  }

  /** @param {number | undefined} engine Milliseconds that the service took. */
  end(engine) {
    const began = this.#began;
    if (!began) return;
    this.#began = 0;
    requestAnimationFrame(() => {
      this.#painted = () => {
        const { duration } = performance.measure("painted", { start: began });
        this.#show(duration, engine);
      };
      // After the frame: what was drawn is on the screen by then.
      this.#channel.port2.postMessage(null);
    });
  }

  /** @param {number} duration @param {number | undefined} engine */
  #show(duration, engine) {
    byId("painted").textContent = duration.toFixed(1);
    if (engine !== undefined) byId("engine").textContent = engine.toFixed(2);
    const bar = element("i");
    bar.style.setProperty("--size", String(Math.min(1, duration / FULL_MILLISECONDS)));
    byId("trace").firstChild?.remove();
    byId("trace").append(bar);
  }
}

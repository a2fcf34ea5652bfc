/** Lets one point at the layers of a chart, with pointer and keys, and choose one. */
import { byId } from "./elements.js";

/** How far the page keys move: this share of all layers. */
const LEAP = 0.1;

/**
 * @typedef {object} Pickable
 * @property {() => number[]} layers in the order in which the arrow keys pass them
 * @property {(event: MouseEvent) => number | null} locate place in that order; null: none there
 * @property {(place: number) => void} mark moves the cursor to a place
 * @property {(place: number) => string} describe what is said of a place
 * @property {(layer: number) => void} choose
 */

/**
 * Makes a chart pickable; what it says stands in `ID-readout`.
 * @param {string} id
 * @param {Pickable} chart
 * @returns {() => void} points at the first layer, as after the layers have changed
 */
export function letPick(id, { layers, locate, mark, describe, choose }) {
  const [box, readout] = [byId(id), byId(`${id}-readout`)];
  let place = 0;
  const point = (/** @type {number} */ wanted) => {
    const count = layers().length;
    place = Math.max(0, Math.min(count - 1, wanted));
    readout.textContent = count === 0 ? "No layer to show" : describe(place);
    if (count > 0) mark(place);
  };
  const pointAt = (/** @type {MouseEvent} */ event) => {
    const found = locate(event);
    if (found !== null) point(found);
    return found !== null;
  };
  const chooseHere = () => {
    const layer = layers()[place];
    if (layer !== undefined) choose(layer);
  };

  box.addEventListener("pointermove", pointAt);
  box.addEventListener("click", (event) => {
    if (pointAt(event)) chooseHere();
  });
  box.addEventListener("keydown", (event) => {
    const leap = Math.max(1, Math.round(LEAP * layers().length));
    const step = {
      ArrowLeft: -1,
      ArrowDown: -1,
      ArrowRight: 1,
      ArrowUp: 1,
      PageUp: -leap,
      PageDown: leap,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (step !== undefined) point(place + step);
    else if (event.key === "Enter") chooseHere();
    else return;
    event.preventDefault();
  });
  return () => point(0);
}

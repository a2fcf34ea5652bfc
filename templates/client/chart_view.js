/** The boundary chart: a slider over the time groups, moved by pointer and by keys. */
import { drawChart, MARGIN, SEVERITIES } from "./chart.js";
import { byId, element, svgElement } from "./elements.js";
import { formatPercent, formatScore, formatShort } from "./format.js";
import { seriesOf } from "./page_data.js";

/** Layers offered by name, the worst ones. */
const OFFERED = 12;

/**
 * Shows the chart of the model, and of a layer when it is chosen.
 * @param {import("./page_data.js").PageData} data
 * @returns {(layer: number) => void} chooses a layer
 */
export function showChart(data) {
  const [box, picker] = [byId("chart"), /** @type {HTMLSelectElement} */ (byId("chart-layer"))];
  const state = { layer: /** @type {number | null} */ (null), group: 0, width: 0 };

  const draw = () => {
    state.width = Math.max(240, Math.floor(box.clientWidth));
    const { groups, threshold } = data;
    const qmax = state.layer === null ? data.qmax : 2 ** data.layers.bits[state.layer] - 1;
    const series = seriesOf(data, state.layer).map((one) => one.series);
    const chart = drawChart({ series, groups, threshold, qmax, width: state.width });
    box.replaceChildren(svgElement(chart));
    point(state.group);
  };
  const point = (/** @type {number} */ group) => {
    state.group = Math.min(data.groups - 1, Math.max(0, group));
    const pitch = (state.width - MARGIN.left - MARGIN.right) / data.groups;
    const cursor = box.querySelector(".cursor");
    cursor?.setAttribute("x", String(MARGIN.left + state.group * pitch));
    // A single time group needs no mark.
    cursor?.setAttribute("width", String(data.groups === 1 ? 0 : pitch));
    const words = describeGroup(seriesOf(data, state.layer), state.group, data.groups);
    box.setAttribute("aria-valuenow", String(state.group));
    box.setAttribute("aria-valuetext", words.map(({ text }) => text).join(" "));
    byId("chart-readout").replaceChildren(
      ...words.map(({ label, text }) =>
        element("p", {}, ...label === "" ? [] : [element("b", {}, `${label}: `)], text)
      ),
    );
  };
  const choose = (/** @type {number | null} */ layer) => {
    state.layer = layer;
    const value = layer === null ? "" : String(layer);
    if (![...picker.options].some((option) => option.value === value)) offer(picker, data, layer);
    picker.value = value;
    draw();
  };

  for (const layer of worstLayers(data)) offer(picker, data, layer);
  picker.addEventListener("change", () => choose(picker.value === "" ? null : +picker.value));
  box.addEventListener("pointermove", (event) => {
    const { left, width } = box.getBoundingClientRect();
    const at = (event.clientX - left) * state.width / width - MARGIN.left;
    point(Math.floor(at * data.groups / (state.width - MARGIN.left - MARGIN.right)));
  });
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
    const ends = { Home: 0, End: data.groups - 1 };
    const step = steps[event.key];
    const target = step === undefined ? ends[event.key] : state.group + step;
    if (target === undefined) return;
    event.preventDefault();
    point(target);
  });
  new ResizeObserver(() => {
    if (Math.floor(box.clientWidth) !== state.width) draw();
  }).observe(box);
  choose(null);
  return (layer) => {
    choose(layer);
    byId("boundaries").scrollIntoView();
    box.focus({ preventScroll: true });
  };
}

/**
 * @param {HTMLSelectElement} picker
 * @param {import("./page_data.js").PageData} data
 * @param {number | null} layer
 */
function offer(picker, data, layer) {
  if (layer === null) return;
  picker.append(element("option", { value: String(layer) }, data.layers.name[layer]));
}

/**
 * @param {import("./page_data.js").PageData} data
 * @returns {number[]}
 */
function worstLayers({ layers, series }) {
  return layers.score.map((score, layer) => ({ score, layer }))
    .filter(({ layer }) => series[0]?.[layer])
    .sort((a, b) => a.score - b.score)
    .slice(0, OFFERED)
    .map(({ layer }) => layer);
}

/**
 * What is known of a time group and of the boundary after it, a sentence or two for each report.
 * @param {{ label: string, series: import("./chart.js").Series }[]} shown
 * @param {number} group
 * @param {number} groups
 * @returns {{ label: string, text: string }[]}
 */
export function describeGroup(shown, group, groups) {
  return shown.map(({ label, series }, i) => {
    const { scale, zero, jump, zeroJump, score, severity, rows } = series;
    const place = rows.length > 0 ? ` (rows ${rows[group]} to ${rows[group + 1] - 1})` : "";
    const name = i === 0 ? `Time group ${group}${place}: ` : "";
    const values = `scale ${formatShort(scale[group])}, zero point ${formatShort(zero[group])}.`;
    const word = SEVERITIES[severity[group]];
    const next = group < groups - 1
      ? ` Boundary ${group} to ${group + 1}: scale jump ${formatPercent(jump[group])}, ` +
        `zero point jump ${formatPercent(zeroJump[group])}, score ${formatScore(score[group])}` +
        (word === undefined ? "." : `, ${word} violation.`)
      : "";
    return { label: shown.length > 1 ? label : "", text: `${name}${values}${next}` };
  });
}

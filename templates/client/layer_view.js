/** One layer with all that is known of it; links lead to it and back. */
import { showCodes } from "./code_histogram.js";
import { damageOf, formatShare, rankLayers } from "./damage.js";
import { linkTo, readLink } from "./deep_link.js";
import { byId, element } from "./elements.js";
import { formatBytes, formatCount, formatDecibel, formatPercent, formatScore } from "./format.js";
import { showGroups } from "./group_chart.js";
import { seriesOf } from "./page_data.js";

/** Layers offered by name, the worst ones. */
const OFFERED = 12;

/** Longest part of an unknown name that is shown. */
const MOST_SHOWN = 200;

/**
 * Shows the worst layer.
 * @param {import("./page_data.js").PageData} data
 * @returns {{ choose: (layer: number) => void, follow: () => void }} what chooses a layer, and what shows that of the
 * address, to be called when all of the page is there
 */
export function showLayerView(data) {
  const { layers } = data;
  const picker = /** @type {HTMLSelectElement} */ (byId("layer-pick"));
  const worst = rankLayers(layers.name.map((_, i) => i), damageOf(layers)).slice(0, OFFERED);
  let shown = worst[0];
  const offer = (/** @type {number} */ layer) =>
    picker.append(element("option", { value: String(layer) }, showName(layers.name[layer])));
  worst.forEach(offer);

  const codes = showCodes(() => ({
    letters: layers.codes[shown] ?? "",
    bits: layers.bits[shown],
    ...data.codes[layers.bits[shown]],
  }));
  const series = showGroups("layer-groups", data, () => ({
    shown: seriesOf(data, shown),
    qmax: 2 ** layers.bits[shown] - 1,
  }));
  const show = (/** @type {number} */ layer) => {
    shown = layer;
    const value = String(layer);
    if (![...picker.options].some((option) => option.value === value)) offer(layer);
    picker.value = value;
    byId("layer-name").replaceChildren(...breakName(layers.name[layer]));
    byId("layer-facts").replaceChildren(
      ...listLayerFacts(data, layer).map(([term, ...words]) =>
        element("div", {}, element("dt", {}, term), element("dd", {}, ...words))
      ),
    );
    const hasCodes = layers.codes[layer] !== null;
    byId("layer-codes-figure").hidden = !hasCodes;
    if (hasCodes) codes();
    const hasSeries = Boolean(data.series[0]?.[layer]);
    byId("layer-groups-figure").hidden = !hasSeries;
    byId("layer-groups-missing").hidden = hasSeries;
    if (hasSeries) series();
  };
  const follow = () => {
    byId("layer-unknown").hidden = true;
    const name = readLink(location.hash);
    if (name === null) {
      // Other links of the page lead elsewhere in it, and the layer stays.
      if (location.hash === "" && shown !== worst[0]) show(worst[0]);
      return;
    }
    // Where names were cut, two may look alike; the one that was chosen is kept beside the link.
    const kept = history.state?.layer;
    const layer = layers.name[kept] === name ? kept : layers.name.indexOf(name);
    if (layer === -1) {
      byId("layer-unknown").hidden = false;
      byId("layer-unknown").textContent = `This report has no layer of the name “${
        name.slice(0, MOST_SHOWN)
      }”.`;
    } else show(layer);
    // Going back, the browser knows the place.
    if (kept === undefined) byId("layer").scrollIntoView();
  };
  const choose = (/** @type {number} */ layer) => {
    const link = linkTo(layers.name[layer]);
    const isHere = location.hash === link && layer === shown;
    if (!isHere) history.pushState({ layer }, "", link);
    byId("layer-unknown").hidden = true;
    show(layer);
  };

  picker.addEventListener("change", () => choose(Number(picker.value)));
  addEventListener("popstate", follow);
  show(worst[0]);
  const lead = (/** @type {number} */ layer) => {
    choose(layer);
    byId("layer").scrollIntoView();
    byId("layer-name").focus({ preventScroll: true });
  };
  return { choose: lead, follow };
}

/**
 * A name; one of which nothing is seen stands in quotes.
 * @param {string} name
 * @returns {string}
 */
function showName(name) {
  return name.trim() === "" ? `"${name}"` : name;
}

/**
 * A name that may be broken where its parts meet.
 * @param {string} name
 * @returns {(Node | string)[]}
 */
export function breakName(name) {
  return showName(name).split(/(?<=[./])/).flatMap((part) => [element("wbr"), part]);
}

/**
 * A grade as a tag in its color.
 * @param {import("./page_data.js").PageData} data
 * @param {number} layer
 * @returns {HTMLElement}
 */
export function gradeTag({ layers, grades }, layer) {
  const grade = grades[Number(layers.grade[layer])];
  return element("span", { class: `tag ${grade}` }, grade);
}

/**
 * @param {import("./page_data.js").PageData} data
 * @param {number} layer
 * @returns {[string, ...(Node | string)[]][]} a term, and what is said of it
 */
function listLayerFacts(data, layer) {
  const { share, output, sqnr, cosine, score, violations, source, bytes } = data.layers;
  const outputs = output?.[layer] ?? null;
  const measure = outputs === null ? "weights" : "outputs";
  return [
    ["Grade", gradeTag(data, layer), ` by the SQNR of its ${measure}`],
    ["Share of the model's error", formatShare(share?.[layer] ?? null)],
    ["SQNR of its weights", formatDecibel(sqnr[layer])],
    ...outputs === null
      ? []
      : /** @type {[string, string][]} */ ([["SQNR of its outputs", formatDecibel(outputs)]]),
    ["Cosine similarity", formatScore(cosine[layer])],
    ["Smoothness score", formatScore(score[layer])],
    ["Violations", formatCount(violations[layer])],
    [
      "Bytes",
      `${formatBytes(source[layer])} before, ${formatBytes(bytes[layer])} after ` +
      `(${formatPercent(bytes[layer] / source[layer])})`,
    ],
    ["Shape", describeShape(data.layers, layer)],
  ];
}

/**
 * `64 x 128 BF16, INT2`
 * @param {import("./page_data.js").LayerColumns} layers
 * @param {number} layer
 * @returns {string}
 */
export function describeShape({ rows, columns, dtypes, dtype, bits }, layer) {
  return `${rows[layer]} x ${columns[layer]} ${dtypes[dtype[layer]]}, INT${bits[layer]}`;
}

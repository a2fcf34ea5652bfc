/** A chart over the time groups: a slider, moved by pointer and by keys. */
import { byId, element } from "./elements.js";
import { formatPercent, formatScore, formatShort } from "./format.js";
import { drawGroups } from "./group_panels.js";
import { SEVERITIES } from "./page_data.js";
import { showPanels } from "./plot.js";

/** What a chart shows. @typedef {{ shown: { label: string, series: import("./page_data.js").Series }[], qmax: number }} GroupSubject */

/**
 * Shows the chart of an id; what it says of a time group stands in `ID-readout`.
 * @param {string} id
 * @param {import("./page_data.js").PageData} data
 * @param {() => GroupSubject} subject asked for each drawing anew
 * @returns {() => void} draws it
 */
export function showGroups(id, { groups, threshold }, subject) {
  const [box, readout] = [byId(id), byId(`${id}-readout`)];
  const state = { group: 0, plots: /** @type {uPlot[]} */ ([]) };
  const point = (/** @type {number} */ group) => {
    state.group = Math.min(groups - 1, Math.max(0, group));
    for (const cursor of box.querySelectorAll(".cursor")) {
      cursor.style.left = `${100 * state.group / groups}%`;
      // A single time group needs no mark.
      cursor.style.width = `${groups === 1 ? 0 : 100 / groups}%`;
    }
    const words = describeGroup(subject().shown, state.group, groups);
    box.setAttribute("aria-valuenow", String(state.group));
    box.setAttribute("aria-valuetext", words.map(({ text }) => text).join(" "));
    readout.replaceChildren(
      ...words.map(({ label, text }) =>
        element("p", {}, ...label === "" ? [] : [element("b", {}, `${label}: `)], text)
      ),
    );
  };

  box.addEventListener("pointermove", (event) => {
    const { left, width } = state.plots[0].over.getBoundingClientRect();
    point(Math.floor((event.clientX - left) * groups / width));
  });
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
    const ends = { Home: 0, End: groups - 1 };
    const step = steps[event.key];
    const target = step === undefined ? ends[event.key] : state.group + step;
    if (target === undefined) return;
    event.preventDefault();
    point(target);
  });
  const describe = (/** @type {import("./plot.js").Look} */ look) => {
    const { shown, qmax } = subject();
    if (shown.length === 0) return [];
    const series = shown.map((one) => one.series);
    return drawGroups({ series, groups, threshold, qmax }, look);
  };
  return showPanels(box, describe, (plots) => {
    state.plots = plots;
    for (const { over } of plots) over.append(element("div", { class: "cursor" }));
    point(state.group);
  });
}

/**
 * What is known of a time group and of the boundary after it, a sentence or two for each report.
 * @param {{ label: string, series: import("./page_data.js").Series }[]} shown
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

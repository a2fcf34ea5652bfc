/** Brings the page of a history to life; the mark at its end says when one can use it. */
import { byId, element } from "./elements.js";
import { showHistoryChart } from "./history_chart.js";

/**
 * What `lib/render/html_history.ts` puts into the page.
 * @type {{ commits: string[], lines: import("./history_chart.js").HistoryLine[], charts: import("./history_chart.js").HistoryChart[] }}
 */
const { commits, lines, charts } = JSON.parse(byId("page-data").textContent ?? "");
const slider = /** @type {HTMLInputElement} */ (byId("commit"));
const picker = /** @type {HTMLSelectElement} */ (byId("line"));
const isShown = (/** @type {number} */ line) => picker.value === "" || picker.value === `${line}`;
const redraws = /** @type {(() => void)[]} */ ([]);
const redraw = () => redraws.forEach((draw) => draw());

/**
 * Points at a commit: in the charts, in words and on the slider.
 * @param {number} commit
 */
function select(commit) {
  const at = Math.min(commits.length - 1, Math.max(0, commit));
  slider.value = String(at);
  slider.setAttribute("aria-valuetext", commits[at]);
  const known = lines.filter(({ texts }, line) => isShown(line) && texts[at] !== null);
  byId("readout").replaceChildren(
    ...known.map(({ label, texts }) =>
      element("p", {}, element("b", {}, `${commits[at]}, ${label}: `), texts[at] ?? "")
    ),
  );
  redraw();
}

const selected = () => Number(slider.value);
const page = { commits, lines, selected, isShown, select };
for (const chart of charts) {
  redraws.push(showHistoryChart(byId(`chart-${chart.id}`), chart, page));
}
select(selected());
slider.addEventListener("input", () => select(selected()));
picker.addEventListener("change", () => select(selected()));
for (const query of ["(prefers-color-scheme: dark)", "print"]) {
  matchMedia(query).addEventListener("change", redraw);
}
byId("report").dataset.ready = "true";
performance.mark("isotherm-interactive");

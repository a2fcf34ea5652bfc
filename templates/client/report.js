/** Brings the page to life; the mark at its end says when one can use it. */
import { showDrift } from "./drift_charts.js";
import { byId } from "./elements.js";
import { showErrorBars } from "./error_bars.js";
import { showErrorScatter } from "./error_scatter.js";
import { showGroups } from "./group_chart.js";
import { showHeatMap } from "./heat_map.js";
import { showInputs } from "./input_charts.js";
import { showInputTable } from "./input_table.js";
import { showLayers } from "./layer_table.js";
import { showLayerView } from "./layer_view.js";
import { readPageData, seriesOf } from "./page_data.js";
import { followColors, redrawPanels } from "./plot.js";
import { offerJson } from "./report_json.js";
import { showViolations } from "./violation_table.js";

/** Shows what is not in the markup. */
function startPage() {
  const data = readPageData("page-data");
  if (data.drift !== null) showDrift(data.drift);
  if (data.activations !== null) showInputs(data.activations);
  if (data.layers.name.length > 0) {
    const drawModel = showGroups("model-groups", data, () => ({
      shown: seriesOf(data, null),
      qmax: data.qmax,
    }));
    drawModel();
    const { choose, follow } = showLayerView(data);
    const charts = [showErrorBars(data, choose), showErrorScatter(data, choose)];
    showLayers(data, choose, (rows) => charts.forEach((show) => show(rows)));
    if (data.groups > 1) showHeatMap(data, choose);
    showViolations(data, choose);
    if (data.activations !== null) showInputTable(data, data.activations, choose);
    follow();
  }
  offerJson();
  followColors();
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
    setPaper(true);
  });
  addEventListener("afterprint", () => setPaper(false));
  byId("report").dataset.ready = "true";
  performance.mark("isotherm-interactive");
}

/**
 * On paper the page is light and narrow.
 * @param {boolean} isPaper
 */
function setPaper(isPaper) {
  document.documentElement.toggleAttribute("data-paper", isPaper);
  redrawPanels();
}

// What is in the markup, the score above all, is painted before charts and tables are made.
requestAnimationFrame(() => setTimeout(startPage));

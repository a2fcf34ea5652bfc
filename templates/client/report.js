/** Brings the page to life; the mark at its end says when one can use it. */
import { showChart } from "./chart_view.js";
import { byId } from "./elements.js";
import { showHeatMap } from "./heat_map.js";
import { showLayers } from "./layer_table.js";
import { readPageData } from "./page_data.js";
import { showViolations } from "./violation_table.js";

const data = readPageData("page-data");
if (data.layers.name.length > 0) {
  const choose = showChart(data);
  if (data.groups > 1) showHeatMap(data, choose);
  showViolations(data, choose);
  showLayers(data, choose);
}
// What is folded away on the screen is not on paper either, so it is opened for printing.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
byId("report").dataset.ready = "true";
performance.mark("isotherm-interactive");

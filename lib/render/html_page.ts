/** What the page of a report is made of besides its words. */

import chartSource from "../../templates/client/chart.js" with { type: "text" };
import chartViewSource from "../../templates/client/chart_view.js" with { type: "text" };
import elementsSource from "../../templates/client/elements.js" with { type: "text" };
import formatSource from "../../templates/client/format.js" with { type: "text" };
import heatSource from "../../templates/client/heat.js" with { type: "text" };
import heatMapSource from "../../templates/client/heat_map.js" with { type: "text" };
import layerTableSource from "../../templates/client/layer_table.js" with { type: "text" };
import pageDataSource from "../../templates/client/page_data.js" with { type: "text" };
import reportSource from "../../templates/client/report.js" with { type: "text" };
import svgSource from "../../templates/client/svg.js" with { type: "text" };
import tableSource from "../../templates/client/table.js" with { type: "text" };
import violationTableSource from "../../templates/client/violation_table.js" with { type: "text" };
import pageStyle from "../../templates/style/page.css" with { type: "text" };
import comparisonStyle from "../../templates/style/comparison.css" with { type: "text" };
import figureStyle from "../../templates/style/figures.css" with { type: "text" };
import heatStyle from "../../templates/style/heat.css" with { type: "text" };
import printStyle from "../../templates/style/print.css" with { type: "text" };
import scoreStyle from "../../templates/style/score.css" with { type: "text" };
import tableStyle from "../../templates/style/tables.css" with { type: "text" };
import toneStyle from "../../templates/style/tones.css" with { type: "text" };
import { joinParts, type PageParts } from "./page_parts.ts";

/** Each before those that import it. */
const SOURCES = [
  formatSource,
  svgSource,
  elementsSource,
  pageDataSource,
  chartSource,
  chartViewSource,
  heatSource,
  heatMapSource,
  tableSource,
  violationTableSource,
  layerTableSource,
  reportSource,
];

/** Later ones have the last word. */
const STYLES = [
  pageStyle,
  toneStyle,
  scoreStyle,
  figureStyle,
  heatStyle,
  tableStyle,
  comparisonStyle,
  printStyle,
];

/** The parts of the page of a report. */
export function pageParts(): Promise<PageParts> {
  return joinParts(SOURCES, STYLES);
}

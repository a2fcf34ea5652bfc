/** What the page of a report is made of besides its words. */

import codeHistogramSource from "../../templates/client/code_histogram.js" with { type: "text" };
import damageSource from "../../templates/client/damage.js" with { type: "text" };
import damageAxisSource from "../../templates/client/damage_axis.js" with { type: "text" };
import deepLinkSource from "../../templates/client/deep_link.js" with { type: "text" };
import driftChartsSource from "../../templates/client/drift_charts.js" with { type: "text" };
import elementsSource from "../../templates/client/elements.js" with { type: "text" };
import errorBarsSource from "../../templates/client/error_bars.js" with { type: "text" };
import errorScatterSource from "../../templates/client/error_scatter.js" with { type: "text" };
import formatSource from "../../templates/client/format.js" with { type: "text" };
import groupChartSource from "../../templates/client/group_chart.js" with { type: "text" };
import groupPanelsSource from "../../templates/client/group_panels.js" with { type: "text" };
import heatSource from "../../templates/client/heat.js" with { type: "text" };
import heatMapSource from "../../templates/client/heat_map.js" with { type: "text" };
import inputChartsSource from "../../templates/client/input_charts.js" with { type: "text" };
import inputTableSource from "../../templates/client/input_table.js" with { type: "text" };
import layerTableSource from "../../templates/client/layer_table.js" with { type: "text" };
import layerViewSource from "../../templates/client/layer_view.js" with { type: "text" };
import pageDataSource from "../../templates/client/page_data.js" with { type: "text" };
import pickLayerSource from "../../templates/client/pick_layer.js" with { type: "text" };
import plotSource from "../../templates/client/plot.js" with { type: "text" };
import reportSource from "../../templates/client/report.js" with { type: "text" };
import reportJsonSource from "../../templates/client/report_json.js" with { type: "text" };
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
  plotSource,
  groupPanelsSource,
  groupChartSource,
  damageSource,
  damageAxisSource,
  deepLinkSource,
  codeHistogramSource,
  layerViewSource,
  heatSource,
  heatMapSource,
  pickLayerSource,
  errorBarsSource,
  errorScatterSource,
  tableSource,
  violationTableSource,
  layerTableSource,
  inputTableSource,
  inputChartsSource,
  driftChartsSource,
  reportJsonSource,
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

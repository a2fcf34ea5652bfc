/** What a page is made of besides its words: style, scripts, and the policy that allows nothing else. */

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
import figureStyle from "../../templates/style/figures.css" with { type: "text" };
import heatStyle from "../../templates/style/heat.css" with { type: "text" };
import printStyle from "../../templates/style/print.css" with { type: "text" };
import scoreStyle from "../../templates/style/score.css" with { type: "text" };
import tableStyle from "../../templates/style/tables.css" with { type: "text" };
import toneStyle from "../../templates/style/tones.css" with { type: "text" };

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
const STYLES = [pageStyle, toneStyle, scoreStyle, figureStyle, heatStyle, tableStyle, printStyle];

/** Style, script and policy of every page. */
export interface PageParts {
  /** For a style element. */
  style: string;
  /** For a script element of type module. */
  script: string;
  /** For a meta element; allows this style and this script, nothing from anywhere else. */
  policy: string;
}

/** Puts the parts together. */
export async function pageParts(): Promise<PageParts> {
  const style = `\n${STYLES.join("\n")}`;
  // One script from modules: what they import from each other is in the same scope then.
  const script = `\n${SOURCES.join("\n").replaceAll(/^import [^;]*;\n/gm, "")}`;
  const policy = [
    "default-src 'none'",
    `style-src '${await hashOf(style)}'`,
    `script-src '${await hashOf(script)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return { style, script, policy };
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}

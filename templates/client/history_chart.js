/** Draws one figure over commits: lines, the band that the gate allows each, and the limits of grades. */

/**
 * What `lib/render/html_history.ts` puts into the page for a chart.
 * @typedef {object} HistoryChart
 * @property {string} id
 * @property {(number | null)[][]} values of each line at each commit
 * @property {([number, number] | null)[][]} bands of each line at each commit: the gate's limit, and the baseline
 * @property {{ at: number, grade: string, words: string }[]} limits of grades
 */

/** @typedef {{ label: string, color: number, dash: number[], texts: (string | null)[] }} HistoryLine */

/**
 * What all charts of a page share.
 * @typedef {object} HistoryPage
 * @property {string[]} commits
 * @property {HistoryLine[]} lines
 * @property {() => number} selected the commit that is pointed at
 * @property {(line: number) => boolean} isShown whether a line is
 * @property {(commit: number) => void} select points at a commit
 */

/** Height of a chart, and of the letters in it, in pixels. */
const HISTORY_HEIGHT = 210;
const LETTERS = 11;

/** Room for the words of limits, in pixels. */
const LIMIT_WORDS = 84;

/**
 * @param {HTMLElement} box where it goes
 * @param {HistoryChart} chart
 * @param {HistoryPage} page
 * @returns {() => void} draws it again
 */
export function showHistoryChart(box, chart, page) {
  const { commits, lines, selected, isShown, select } = page;
  const axis = { stroke: () => colorOf("muted"), font: fontOf(1), ticks: { show: false } };
  const xAxis = { ...axis, grid: { show: false }, size: 26, space: 62 };
  const yAxis = { ...axis, grid: { stroke: () => colorOf("line"), width: 1 }, size: 58 };
  const options = {
    width: widthOf(box),
    height: HISTORY_HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, chart.limits.length === 0 ? 8 : LIMIT_WORDS, 0, 0],
    scales: {
      x: { time: false, range: () => [-0.5, commits.length - 0.5] },
      y: { range: () => rangeOf(chart, isShown) },
    },
    axes: [
      {
        ...xAxis,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
        values: (_, ticks) => ticks.map((tick) => commits[tick] ?? ""),
      },
      {
        ...yAxis,
        values: (_, ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6)))),
      },
    ],
    series: [{}, ...lines.map(lineStyle)],
    hooks: {
      drawClear: [(plot) => drawGround(plot, chart, page)],
      draw: [(plot) => drawWords(plot, chart)],
    },
  };
  const data = [commits.map((_, i) => i), ...chart.values];
  const plot = new uPlot(options, data, box);
  box.addEventListener("pointermove", (event) => {
    const { left } = plot.over.getBoundingClientRect();
    const commit = Math.round(plot.posToVal(event.clientX - left, "x"));
    if (commit !== selected()) select(commit);
  });
  new ResizeObserver(() => {
    if (plot.width !== widthOf(box)) plot.setSize({ width: widthOf(box), height: HISTORY_HEIGHT });
  }).observe(box);
  return () => {
    const isEmpty = chart.values.every((values, line) =>
      !isShown(line) || values.every((value) => value === null)
    );
    /** @type {HTMLElement} */ (box.parentElement).hidden = isEmpty;
    for (const i of lines.keys()) {
      if (plot.series[i + 1].show !== isShown(i)) plot.setSeries(i + 1, { show: isShown(i) });
    }
    plot.setData(data);
  };
}

/**
 * The ends of the axis: all figures and bands, and the limit of the grade that the lowest figure has.
 * @param {Pick<HistoryChart, "values" | "bands" | "limits">} chart
 * @param {(line: number) => boolean} isShown
 * @returns {[number, number]}
 */
export function rangeOf({ values, bands, limits }, isShown) {
  const shown = [values, bands].flatMap((all) => all.filter((_, line) => isShown(line)).flat(2))
    .filter((value) => value !== null);
  if (shown.length === 0) return [0, 1];
  const least = shown.reduce((a, b) => Math.min(a, b));
  const most = shown.reduce((a, b) => Math.max(a, b));
  const below = limits.map(({ at }) => at).filter((at) => at <= least);
  const from = below.length === 0 ? least : below.reduce((a, b) => Math.max(a, b));
  // Where nothing moves, the line lies in the middle.
  const margin = 0.1 * (most - from) || 0.05 * Math.abs(most) || 1;
  return [from - margin, most + margin];
}

/**
 * @param {HistoryLine} line
 */
function lineStyle({ color, dash }) {
  return {
    stroke: () => colorOf(`series-${color}`),
    width: 2,
    dash,
    spanGaps: true,
    points: { show: true, size: 6, fill: () => colorOf("sheet") },
  };
}

/**
 * What lies below the lines.
 * @param {any} plot
 * @param {HistoryChart} chart
 * @param {HistoryPage} page
 */
function drawGround(plot, { bands, limits }, { lines, selected, isShown }) {
  const { ctx, bbox: { left, top, width, height } } = plot;
  const x = (/** @type {number} */ commit) => plot.valToPos(commit, "x", true);
  const y = (/** @type {number} */ value) => plot.valToPos(value, "y", true);
  const pitch = x(1) - x(0);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.globalAlpha = 0.12;
  ctx.fillStyle = colorOf("accent");
  ctx.fillRect(x(selected() - 0.5), top, pitch, height);
  for (const [i, { color }] of lines.entries()) {
    ctx.fillStyle = colorOf(`series-${color}`);
    for (const [commit, band] of isShown(i) ? bands[i].entries() : []) {
      if (band === null) continue;
      const [limit, baseline] = band;
      ctx.globalAlpha = 0.16;
      ctx.fillRect(x(commit - 0.5), y(limit), pitch, y(baseline) - y(limit));
      ctx.globalAlpha = 0.7;
      ctx.fillRect(x(commit - 0.5), y(limit) - uPlot.pxRatio / 2, pitch, uPlot.pxRatio);
    }
  }
  ctx.globalAlpha = 1;
  ctx.lineWidth = uPlot.pxRatio;
  ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
  for (const { at, grade } of limits) {
    // On whole pixels, so that it is not blurred.
    const middle = Math.round(y(at)) - (uPlot.pxRatio % 2) / 2;
    ctx.strokeStyle = colorOf(grade);
    ctx.beginPath();
    ctx.moveTo(left, middle);
    ctx.lineTo(left + width, middle);
    ctx.stroke();
  }
  ctx.restore();
}

/**
 * Which grade begins at each limit, on the right, where no line crosses the words.
 * @param {any} plot
 * @param {HistoryChart} chart
 */
function drawWords(plot, { limits }) {
  const { ctx, bbox: { left, width }, scales: { y: { min, max } } } = plot;
  ctx.save();
  ctx.font = fontOf(uPlot.pxRatio);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const { at, grade, words } of limits.filter(({ at }) => at >= min && at <= max)) {
    ctx.fillStyle = colorOf(grade);
    ctx.fillText(words, left + width + 5 * uPlot.pxRatio, plot.valToPos(at, "y", true));
  }
  ctx.restore();
}

/**
 * A color of the page's style, as it is at the moment: it changes with light and paper.
 * @param {string} name
 * @returns {string}
 */
function colorOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
}

/**
 * @param {number} ratio pixels of the canvas to one of the page
 * @returns {string}
 */
function fontOf(ratio) {
  return `${LETTERS * ratio}px ${getComputedStyle(document.body).fontFamily}`;
}

/**
 * @param {HTMLElement} box
 * @returns {number}
 */
function widthOf(box) {
  return Math.max(200, Math.floor(box.clientWidth));
}

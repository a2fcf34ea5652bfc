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

/** Height of a chart in pixels. */
const HISTORY_HEIGHT = 210;

/**
 * @param {HTMLElement} box where it goes
 * @param {HistoryChart} chart
 * @param {string[]} commits
 * @param {HistoryLine[]} lines
 * @param {() => number} selected the commit that is pointed at
 * @param {(commit: number) => void} select points at a commit
 * @returns {() => void} draws it again
 */
export function showHistoryChart(box, chart, commits, lines, selected, select) {
  const color = (/** @type {string} */ name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: () => color("muted"), font, ticks: { show: false } };
  const [low, high] = rangeOf(chart);
  const plot = new uPlot(
    {
      width: widthOf(box),
      height: HISTORY_HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [-0.5, commits.length - 0.5] },
        y: { range: () => [low, high] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 62,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
          values: (_, ticks) => ticks.map((tick) => commits[tick] ?? ""),
        },
        {
          ...axis,
          size: 58,
          grid: { stroke: () => color("line"), width: 1 },
          values: (_, ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6)))),
        },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: () => color(`series-${line.color}`),
          width: 2,
          dash: line.dash,
          spanGaps: true,
          points: { show: true, size: 6, fill: () => color("sheet") },
        })),
      ],
      hooks: { drawClear: [drawGround] },
    },
    [commits.map((_, i) => i), ...chart.values],
    box,
  );

  /** @param {any} u */
  function drawGround(u) {
    const { ctx, bbox: { left, top, width, height } } = u;
    const x = (/** @type {number} */ value) => u.valToPos(value, "x", true);
    const y = (/** @type {number} */ value) => u.valToPos(value, "y", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.globalAlpha = 0.12;
    ctx.fillStyle = color("accent");
    ctx.fillRect(x(selected() - 0.5), top, x(1) - x(0), height);
    for (const [i, bands] of chart.bands.entries()) {
      ctx.fillStyle = color(`series-${lines[i].color}`);
      for (const [commit, band] of bands.entries()) {
        if (band === null) continue;
        const [limit, baseline] = band;
        ctx.globalAlpha = 0.16;
        ctx.fillRect(x(commit - 0.5), y(limit), x(1) - x(0), y(baseline) - y(limit));
        ctx.globalAlpha = 0.7;
        ctx.fillRect(x(commit - 0.5), y(limit) - uPlot.pxRatio / 2, x(1) - x(0), uPlot.pxRatio);
      }
    }
    ctx.globalAlpha = 1;
    ctx.font = font.replace("11", String(11 * uPlot.pxRatio));
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    for (const { at, grade, words } of chart.limits) {
      if (at < low || at > high) continue;
      ctx.strokeStyle = ctx.fillStyle = color(grade);
      ctx.beginPath();
      ctx.moveTo(left, y(at));
      ctx.lineTo(left + width, y(at));
      ctx.stroke();
      ctx.fillText(words, left + width - 4 * uPlot.pxRatio, y(at) - 2 * uPlot.pxRatio);
    }
    ctx.restore();
  }

  box.addEventListener("pointermove", (event) => {
    const { left } = plot.over.getBoundingClientRect();
    select(Math.round(plot.posToVal(event.clientX - left, "x")));
  });
  new ResizeObserver(() => {
    if (plot.width !== widthOf(box)) plot.setSize({ width: widthOf(box), height: HISTORY_HEIGHT });
  }).observe(box);
  return () => plot.redraw(false, true);
}

/**
 * @param {HTMLElement} box
 * @returns {number}
 */
function widthOf(box) {
  return Math.max(200, Math.floor(box.clientWidth));
}

/**
 * The ends of the axis: all figures and bands, and the limit of the grade that the lowest figure has.
 * @param {HistoryChart} chart
 * @returns {[number, number]}
 */
export function rangeOf({ values, bands, limits }) {
  const shown = [...values.flat(), ...bands.flat(2)].filter((value) => value !== null);
  if (shown.length === 0) return [0, 1];
  const [least, most] = shown.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [shown[0], shown[0]],
  );
  const below = limits.map(({ at }) => at).filter((at) => at <= least);
  const from = below.reduce((a, b) => Math.max(a, b), below[0] ?? least);
  // Where nothing moves, the line lies in the middle of a range that is a part of it.
  const pad = 0.1 * (most - from) || 0.05 * Math.abs(most) || 1;
  return [from - pad, most + pad];
}

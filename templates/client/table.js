/** A table that is sorted, filtered and shown page by page, so that any number of rows stays quick. */
import { byId, element } from "./elements.js";
import { formatCount } from "./format.js";

/** Rows on a page. */
const PAGE = 25;

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => number | string} value what the column is sorted by
 * @property {(row: Row) => string | Node} cell what is shown
 * @property {boolean} [numeric]
 * @property {boolean} [minor] left out where there is little room
 */

/**
 * Fills the table of an id; beside it stand `ID-filter`, `ID-status`, `ID-previous`, `ID-next`.
 * @template Row
 * @param {string} id
 * @param {Column<Row>[]} columns the first one names the row
 * @param {(row: Row) => string} text what the filter looks at
 * @param {{ column: number, descending: boolean }} sort
 * @param {(rows: Row[]) => void} onListed called with the rows that the filter leaves, on all pages
 * @returns {(rows: Row[]) => void} shows other rows
 */
export function showTable(id, columns, text, sort, onListed = () => {}) {
  const table = byId(id);
  const filter = /** @type {HTMLInputElement} */ (byId(`${id}-filter`));
  const [previous, next] = [byId(`${id}-previous`), byId(`${id}-next`)];
  const state = {
    ...sort,
    page: 0,
    rows: /** @type {Row[]} */ ([]),
    shown: /** @type {Row[]} */ ([]),
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    state.page = Math.min(pages - 1, Math.max(0, state.page));
    const from = state.page * PAGE;
    const visible = state.shown.slice(from, from + PAGE);
    table.querySelector("tbody")?.replaceChildren(...visible.map((row) => makeRow(columns, row)));
    const total = state.shown.length === state.rows.length
      ? formatCount(state.rows.length)
      : `${formatCount(state.shown.length)} (of ${formatCount(state.rows.length)})`;
    byId(`${id}-status`).textContent = visible.length === 0
      ? "Nothing to show"
      : `${formatCount(from + 1)} to ${formatCount(from + visible.length)} of ${total}`;
    setEnabled(previous, state.page > 0);
    setEnabled(next, state.page < pages - 1);
    byId(`${id}-pager`).hidden = pages === 1;
  };
  const arrange = () => {
    const wanted = filter.value.trim().toLowerCase();
    const { value } = columns[state.column];
    const keyed = state.rows
      .filter((row) => wanted === "" || text(row).toLowerCase().includes(wanted))
      .map((row) => ({ row, key: value(row) }));
    const sign = state.descending ? -1 : 1;
    keyed.sort((a, b) => a.key === b.key ? 0 : a.key < b.key ? -sign : sign);
    state.shown = keyed.map(({ row }) => row);
    state.page = 0;
    show();
  };
  const list = () => {
    arrange();
    onListed(state.shown);
  };
  const heads = columns.map((column, index) =>
    makeHead(column, () => {
      state.descending = index === state.column ? !state.descending : false;
      state.column = index;
      markSorted(heads, state);
      arrange();
    })
  );
  const turn = (/** @type {number} */ pages) => {
    state.page += pages;
    show();
  };

  table.querySelector("thead")?.replaceChildren(element("tr", {}, ...heads));
  markSorted(heads, state);
  filter.addEventListener("input", list);
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  return (rows) => {
    state.rows = rows;
    list();
  };
}

/**
 * @template Row
 * @param {Column<Row>} column
 * @returns {string}
 */
function classOf({ numeric, minor }) {
  return [numeric ? "numeric" : "", minor ? "minor" : ""].filter(Boolean).join(" ");
}

/**
 * @template Row
 * @param {Column<Row>} column
 * @param {() => void} onSort
 * @returns {HTMLElement}
 */
function makeHead(column, onSort) {
  const button = element("button", { type: "button" }, column.label);
  button.addEventListener("click", onSort);
  return element("th", { scope: "col", class: classOf(column) }, button);
}

/**
 * @param {HTMLElement[]} heads
 * @param {{ column: number, descending: boolean }} sort
 */
function markSorted(heads, { column, descending }) {
  for (const [i, head] of heads.entries()) {
    if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

/**
 * @template Row
 * @param {Column<Row>[]} columns
 * @param {Row} row
 * @returns {HTMLElement}
 */
function makeRow(columns, row) {
  return element(
    "tr",
    {},
    ...columns.map((column, i) =>
      element(
        i === 0 ? "th" : "td",
        { class: classOf(column), ...i === 0 ? { scope: "row" } : {} },
        column.cell(row),
      )
    ),
  );
}

/**
 * Keeps the focus where a disabled button would lose it.
 * @param {HTMLElement} button
 * @param {boolean} enabled
 */
function setEnabled(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/** What tests read in the text of a page. */

import type { PageData } from "../templates/client/page_data.js";

/** The embedded data of a page. */
export function dataOf(page: string): PageData {
  const [, text] = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!) as PageData;
}

/** A page without its style, data and script: the markup a reader sees. */
export function markupOf(page: string): string {
  return page.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, "");
}

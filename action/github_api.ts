/** GitHub's REST API as far as one comment needs it. */

/** The API refused. */
export class ApiError extends Error {
  /** Always `"ApiError"`. */
  override readonly name = "ApiError";
  /** Whether the same request may succeed later. */
  readonly isPassing: boolean;

  /**
   * @param status HTTP status.
   * @param what The request, for the message.
   */
  constructor(readonly status: number, what: string) {
    super(`${what}: HTTP status ${status}`);
    this.isPassing = status >= 500 || status === 429;
  }
}

/** Sends a request and gives the JSON of the answer. */
export type Api = (method: string, path: string, body?: object) => Promise<unknown>;

/** Items on a page of a list. */
const PAGE_SIZE = 100;

/** Most pages read: GitHub takes no more than 2500 comments on an issue. */
const MAX_PAGES = 30;

/** Longest wait for an answer, in milliseconds. */
const PATIENCE = 15_000;

/**
 * Opens the API.
 *
 * @param root Its address, without a slash at the end.
 */
export function openApi(root: string, token: string): Api {
  return async (method, path, body) => {
    const response = await fetch(`${root}${path}`, {
      method,
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "user-agent": "isotherm",
        "x-github-api-version": "2022-11-28",
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.ok) return await response.json();
    await response.body?.cancel();
    throw new ApiError(response.status, `${method} ${path}`);
  };
}

/** Reads a list page by page, as long as somebody wants more. */
export async function* listAll(api: Api, path: string): AsyncGenerator<unknown> {
  for (let page = 1; page <= MAX_PAGES; page++) {
    const separator = path.includes("?") ? "&" : "?";
    const items = await api("GET", `${path}${separator}per_page=${PAGE_SIZE}&page=${page}`);
    if (!Array.isArray(items)) return;
    yield* items;
    if (items.length < PAGE_SIZE) return;
  }
}

/** Waits between attempts, in milliseconds. */
const WAITS = [1000, 3000];

/**
 * Tries again where the server or the network failed.
 *
 * @param attempt Starts from the beginning each time, so that nothing is done twice.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  waits: readonly number[] = WAITS,
): Promise<T> {
  for (const wait of waits) {
    try {
      return await attempt();
    } catch (error) {
      const isPassing = error instanceof ApiError ? error.isPassing : isNetworkError(error);
      if (!isPassing) throw error;
      await new Promise((resume) => setTimeout(resume, wait));
    }
  }
  return await attempt();
}

/** `fetch` throws a TypeError for a broken connection, and a DOMException for one that takes too long. */
function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof DOMException;
}

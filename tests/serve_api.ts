/** A server on this machine that answers as GitHub's REST API does, as far as comments need it. */

/** A comment it keeps. */
export interface ServedComment {
  id: number;
  body: string;
  user: { login: string; type: string };
}

/** A pull request it keeps. */
export interface ServedPull {
  number: number;
  head: { label: string; sha: string };
}

/** The server's state, which a test sets up and looks at. */
export interface ApiState {
  comments: ServedComment[];
  pulls: ServedPull[];
  /** Statuses of the next answers; below 400: as it should be. What is to be written is written all the same. */
  failures: number[];
  /** Status of every request that writes, as for a token that may only read. */
  refuseWrites?: number;
  /** Requests in order, method and path. */
  requests: string[];
  /** What authorized them. */
  tokens: Set<string | null>;
}

/** A comment by the bot of the actions. */
export function botComment(id: number, body: string): ServedComment {
  return { id, body, user: { login: "github-actions[bot]", type: "Bot" } };
}

/** A comment by a person. */
export function personComment(id: number, body: string): ServedComment {
  return { id, body, user: { login: "someone", type: "User" } };
}

/** Serves the API for repository `owner/name`, pull request 7, while `use` runs. */
export async function withApi(
  parts: Partial<ApiState>,
  use: (address: string, state: ApiState) => Promise<void>,
): Promise<void> {
  const state: ApiState = {
    comments: [],
    pulls: [],
    failures: [],
    requests: [],
    tokens: new Set(),
    ...parts,
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => answer(request, state),
  );
  try {
    await use(`http://127.0.0.1:${server.addr.port}`, state);
  } finally {
    await server.shutdown();
  }
}

const COMMENTS = "/repos/owner/name/issues/7/comments";
const COMMENT = /^\/repos\/owner\/name\/issues\/comments\/(\d+)$/;

async function answer(request: Request, state: ApiState): Promise<Response> {
  const url = new URL(request.url);
  state.requests.push(`${request.method} ${url.pathname}${url.search}`);
  state.tokens.add(request.headers.get("authorization"));
  const failure = state.failures.shift() ?? 200;
  const response = await serve(request, url, state);
  return failure < 400 ? response : refuse(failure);
}

async function serve(request: Request, url: URL, state: ApiState): Promise<Response> {
  if (request.method === "GET") {
    if (url.pathname === COMMENTS) return page(state.comments, url);
    if (url.pathname === "/repos/owner/name/pulls") {
      const head = url.searchParams.get("head");
      return page(state.pulls.filter((pull) => pull.head.label === head), url);
    }
    return refuse(404);
  }
  if (state.refuseWrites !== undefined) return refuse(state.refuseWrites);
  const { body } = await request.json() as { body: string };
  if (body.length > 65_536) return refuse(422);
  if (request.method === "POST" && url.pathname === COMMENTS) {
    const comment = botComment(1000 + state.comments.length, body);
    state.comments.push(comment);
    return Response.json(comment, { status: 201 });
  }
  const id = Number(COMMENT.exec(url.pathname)?.[1]);
  const comment = state.comments.find((one) => one.id === id);
  if (request.method !== "PATCH" || comment === undefined) return refuse(404);
  comment.body = body;
  return Response.json(comment);
}

/** A page of a list: 30 items unless more are asked for, never more than 100. */
function page(items: readonly unknown[], { searchParams }: URL): Response {
  const size = Math.min(Number(searchParams.get("per_page") ?? 30), 100);
  const first = (Number(searchParams.get("page") ?? 1) - 1) * size;
  return Response.json(items.slice(first, first + size));
}

function refuse(status: number): Response {
  return Response.json({ message: "::error::refused" }, { status });
}

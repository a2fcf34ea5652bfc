import assert from "node:assert/strict";
import { writeComment } from "../action/comment.ts";
import { findPullRequest } from "../action/find_pull_request.ts";
import { ApiError, openApi, retry } from "../action/github_api.ts";
import { botComment, personComment, type ServedComment, withApi } from "./serve_api.ts";

const MARKER = "<!-- isotherm base.json -->";
const OLD = `${MARKER}\nold`;
const NEW = `${MARKER}\nnew`;
const THREAD = { repository: "owner/name", number: 7 };
const NO_WAIT = [1, 1];

/** So many comments by people. */
const others = (count: number, from = 1): ServedComment[] =>
  Array.from({ length: count }, (_, i) => personComment(from + i, `comment ${i}`));

/** What is commented, and what became of it. */
interface CommentCase {
  what: string;
  comments: ServedComment[];
  change: "created" | "updated" | "unchanged";
  /** Requests that were needed. */
  requests: number;
}

const CASES: CommentCase[] = [
  { what: "there is none", comments: [], change: "created", requests: 2 },
  { what: "it is there", comments: [botComment(5, OLD)], change: "updated", requests: 2 },
  { what: "it says so already", comments: [botComment(5, NEW)], change: "unchanged", requests: 1 },
  {
    what: "it is on the third page",
    comments: [...others(205), botComment(900, OLD), ...others(20, 500)],
    change: "updated",
    requests: 4,
  },
  {
    what: "the pages are full and it is on none",
    comments: others(200),
    change: "created",
    requests: 4,
  },
  {
    what: "only a person wrote the marker",
    comments: [personComment(5, OLD)],
    change: "created",
    requests: 2,
  },
  {
    what: "a bot quotes the marker",
    comments: [botComment(5, `> ${OLD}`)],
    change: "created",
    requests: 2,
  },
  {
    what: "there is one for another baseline",
    comments: [botComment(5, "<!-- isotherm other.json -->\nold")],
    change: "created",
    requests: 2,
  },
];

for (const { what, comments, change, requests } of CASES) {
  Deno.test(`writeComment() leaves one comment, ${change}, when ${what}`, () =>
    withApi({ comments: structuredClone(comments) }, async (address, state) => {
      const api = openApi(address, "secret");
      assert.equal(await writeComment(api, THREAD, MARKER, NEW), change);
      assert.equal(state.requests.length, requests, state.requests.join("\n"));
      const ours = state.comments.filter(({ body }) => body === NEW);
      assert.equal(ours.length, 1);
      assert.equal(state.comments.length, comments.length + (change === "created" ? 1 : 0));
      assert.deepEqual([...state.tokens], ["Bearer secret"]);
    }));
}

Deno.test("retry() leaves one comment when the server fails, at the list or after it wrote", async () => {
  const cases = [
    { failures: [500, 503], requests: 4, change: "created" },
    { failures: [429], requests: 3, change: "created" },
    // The comment is there and only the answer was lost.
    { failures: [200, 502], requests: 3, change: "unchanged" },
  ];
  for (const { failures, requests, change } of cases) {
    await withApi({ failures: [...failures] }, async (address, state) => {
      const api = openApi(address, "secret");
      assert.equal(await retry(() => writeComment(api, THREAD, MARKER, NEW), NO_WAIT), change);
      assert.deepEqual(state.comments.map(({ body }) => body), [NEW]);
      assert.equal(state.requests.length, requests, state.requests.join("\n"));
    });
  }
});

Deno.test("retry() gives up when the server fails each time", () =>
  withApi({ failures: [500, 500, 500] }, async (address, state) => {
    const api = openApi(address, "secret");
    await assert.rejects(
      retry(() => writeComment(api, THREAD, MARKER, NEW), NO_WAIT),
      { name: "ApiError", status: 500 },
    );
    assert.equal(state.requests.length, 3);
  }));

Deno.test("retry() does not try again when the token may not, or nothing is there", async () => {
  for (const status of [401, 403, 404, 422]) {
    await withApi({ refuseWrites: status }, async (address, state) => {
      const api = openApi(address, "secret");
      const error = await retry(() => writeComment(api, THREAD, MARKER, NEW), NO_WAIT)
        .catch((error: unknown) => error);
      assert.ok(error instanceof ApiError);
      assert.equal(
        error.message,
        `POST /repos/owner/name/issues/7/comments: HTTP status ${status}`,
      );
      assert.equal(state.requests.length, 2);
    });
  }
});

Deno.test("retry() tries again when nobody listens", async () => {
  let attempts = 0;
  const api = openApi("http://127.0.0.1:9", "secret");
  const attempt = () => {
    attempts++;
    return writeComment(api, THREAD, MARKER, NEW);
  };
  await assert.rejects(retry(attempt, NO_WAIT), TypeError);
  assert.equal(attempts, 3);
});

/** The event that runs where the token may write. */
const afterwards = (parts: object = {}) => ({
  workflow_run: {
    head_branch: "a&b#c",
    head_sha: "abc",
    head_repository: { owner: { login: "fork" } },
    pull_requests: [],
    ...parts,
  },
});

const PULLS = [
  { number: 6, head: { label: "fork:a&b#c", sha: "old" } },
  { number: 7, head: { label: "fork:a&b#c", sha: "abc" } },
  { number: 8, head: { label: "other:a&b#c", sha: "abc" } },
];

Deno.test("findPullRequest() reads the number when the event is about a pull request", async () => {
  const api = openApi("http://127.0.0.1:9", "secret");
  assert.equal(await findPullRequest(api, "owner/name", { pull_request: { number: 12 } }), 12);
});

Deno.test("findPullRequest() looks the number up when the run was of a fork", () =>
  withApi({ pulls: PULLS }, async (address) => {
    const find = (event: unknown) =>
      findPullRequest(openApi(address, "secret"), "owner/name", event);
    assert.equal(await find(afterwards()), 7);
    assert.equal(await find(afterwards({ head_sha: "gone" })), undefined);
    assert.equal(await find(afterwards({ head_branch: "none" })), undefined);
    assert.equal(await find(afterwards({ head_repository: null })), undefined);
  }));

Deno.test("findPullRequest() finds none when the event is about something else", async () => {
  const api = openApi("http://127.0.0.1:9", "secret");
  for (const event of [null, [], {}, { issue: { number: 3 } }, { pull_request: { number: "7" } }]) {
    assert.equal(await findPullRequest(api, "owner/name", event), undefined);
  }
});

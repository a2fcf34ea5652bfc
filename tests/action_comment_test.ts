import assert from "node:assert/strict";
import { join } from "node:path";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { ACTION } from "./read_action.ts";
import { runAction } from "./run_action.ts";
import { botComment, personComment, withApi } from "./serve_api.ts";

/** A pull request from a fork, whose token may only read. */
const FORK_EVENT = {
  pull_request: { number: 7, head: { sha: "abc", repo: { full_name: "fork/name", fork: true } } },
};

/** What the step that comments says of it; Deno may have lines of its own there, such as what it downloads. */
function saidOf(log: string): string {
  const lines = log.split("\n").filter((line) => /^(Comment|Not commented)/.test(line));
  assert.equal(lines.length, 1, log);
  return lines[0]!;
}

Deno.test("the action keeps its verdict when a fork's token may not comment", () =>
  withApi({ refuseWrites: 403, comments: [personComment(1, "hello")] }, async (api, state) => {
    for (const [change, code] of [[{}, 0], [{ sqnr_db: 99 }, 3]] as const) {
      await withRepository(change, async ({ workspace }) => {
        const inputs = { model: "model", comment: "true" };
        const result = await runAction({ workspace, inputs, event: FORK_EVENT, api });
        assert.equal(result.code, code, result.log);
        const step = result.steps.find(({ name }) => name === "Comment")!;
        assert.equal(step.code, 0);
        assert.equal(
          saidOf(step.log),
          "Not commented: POST /repos/owner/name/issues/7/comments: HTTP status 403: the token may " +
            "not write comments, as in a pull request from a fork: the text is in the artifact for a " +
            "workflow_run job",
        );
        const body = Deno.readTextFileSync(join(result.outputs.summary!, "../comment.md"));
        assert.equal(body, `<!-- isotherm .isotherm%2Fbaseline.json -->\n${result.summary}`);
        assert.equal(result.steps.at(-2)!.name, "Keep the reports");
      });
    }
    assert.equal(state.comments.length, 1);
  }));

Deno.test("the action keeps its verdict when the API cannot be reached", () =>
  withRepository({}, async ({ workspace }) => {
    const inputs = { model: "model", comment: "true" };
    const result = await runAction({ workspace, inputs, event: FORK_EVENT });
    assert.equal(result.code, 0, result.log);
    assert.match(result.log, /^Not commented: .*$/m);
  }));

Deno.test("the action updates its one comment when it runs again", () =>
  withRepository(
    { sqnr_db: 99 },
    ({ workspace, baseline }) =>
      withApi({ failures: [502] }, async (api, state) => {
        const inputs = { model: "model", comment: "true" };
        const run = () => runAction({ workspace, inputs, event: FORK_EVENT, api });
        const first = await run();
        assert.equal(first.code, 3, first.log);
        assert.match(first.log, /^Comment created on pull request 7$/m);
        assert.match(state.comments[0]!.body, /\n## \u2717 Isotherm gate failed: 1 failure, /);
        Deno.writeTextFileSync(
          join(workspace, BASELINE),
          baseline.replace(/"sqnr_db": 99/, '"sqnr_db": 0'),
        );
        const second = await run();
        assert.equal(second.code, 0, second.log);
        assert.match(second.log, /^Comment updated on pull request 7$/m);
        assert.equal(state.comments.length, 1);
        assert.match(
          state.comments[0]!.body,
          /\n## \u2713 Isotherm gate passed: 10 of 10 checks passed\n/,
        );
        assert.deepEqual([...state.tokens], ["Bearer token-of-the-job"]);
      }),
  ));

/** The event that runs after the one of the fork. */
const AFTERWARDS = {
  workflow_run: {
    head_branch: "main",
    head_sha: "abc",
    head_repository: { owner: { login: "fork" } },
  },
};

Deno.test("the comment action posts the text that a fork's run left", () =>
  withRepository(null, async ({ workspace }) => {
    const action = join(ACTION, "comment");
    const body = "<!-- isotherm base.json -->\n## Text\n";
    const pulls = [{ number: 7, head: { label: "fork:main", sha: "abc" } }];
    const name = "a,b/comment.md";
    Deno.mkdirSync(join(workspace, "a,b"));
    const post = async (text: string, event: object, old = "") => {
      let log = "";
      Deno.writeTextFileSync(join(workspace, name), text);
      const comments = old === "" ? [] : [botComment(5, old)];
      await withApi({ pulls, comments }, async (api) => {
        const result = await runAction({ workspace, inputs: { body: name }, action, event, api });
        assert.equal(result.code, 0);
        log = saidOf(result.log);
      });
      assert.deepEqual(
        comments.map(({ body }) => body).filter((one) => one !== old),
        log.startsWith("Not") ? [] : [text],
      );
      return log;
    };
    assert.equal(await post(body, AFTERWARDS), "Comment created on pull request 7");
    assert.equal(
      await post(body, AFTERWARDS, body.replace("T", "t")),
      "Comment updated on pull request 7",
    );
    const other = "Not commented: the text is not a comment of Isotherm";
    assert.equal(await post("hello", AFTERWARDS), other);
    assert.equal(await post(body + "x".repeat(65_536), AFTERWARDS), other);
    const gone = "Not commented: no open pull request has this commit";
    assert.equal(await post(body, {}), gone);
  }));

/** The step that comments; it never fails, whatever the API says. */

import { writeComment } from "./comment.ts";
import { MARKER, MAX_COMMENT } from "./describe_outcome.ts";
import { findPullRequest } from "./find_pull_request.ts";
import { ApiError, openApi, retry } from "./github_api.ts";

/**
 * Posts a comment.
 *
 * @param path File with the comment's text.
 * @param waits Waits between attempts, in milliseconds.
 * @returns What to say in the log.
 */
export async function postComment(path: string, waits?: readonly number[]): Promise<string> {
  try {
    const body = Deno.readTextFileSync(path);
    const marker = MARKER.exec(body)?.[0];
    if (marker === undefined || body.length > MAX_COMMENT) {
      return "Not commented: the text is not a comment of Isotherm";
    }
    const [root, token, repository, eventPath] = ["API_URL", "TOKEN", "REPOSITORY", "EVENT_PATH"]
      .map((name) => Deno.env.get(`GITHUB_${name}`) ?? "");
    const event: unknown = JSON.parse(Deno.readTextFileSync(eventPath!));
    const api = openApi(root!, token!);
    return await retry(async () => {
      const number = await findPullRequest(api, repository!, event);
      if (number === undefined) return "Not commented: no open pull request has this commit";
      const change = await writeComment(api, { repository: repository!, number }, marker, body);
      return `Comment ${change} on pull request ${number}`;
    }, waits);
  } catch (error) {
    return `Not commented: ${describeError(error)}`;
  }
}

function describeError(error: unknown): string {
  if (error instanceof ApiError && (error.status === 403 || error.status === 404)) {
    return `${error.message}: the token may not write comments, as in a pull request from a fork: ` +
      "the text is in the artifact for a workflow_run job";
  }
  return error instanceof Error ? error.message : String(error);
}

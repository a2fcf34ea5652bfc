/** Finds the pull request that an event is about. */

import { isObject } from "../lib/report/check_schema.ts";
import { type Api, listAll } from "./github_api.ts";

/**
 * Finds the number of the pull request.
 *
 * A `workflow_run` names none where the branch lies in a fork. It is looked up by its branch then, never
 * read from an artifact, which the fork could have written; and only if its head is still what was run.
 *
 * @param event The event's payload.
 * @returns `undefined` where the event is about none.
 */
export async function findPullRequest(
  api: Api,
  repository: string,
  event: unknown,
): Promise<number | undefined> {
  if (!isObject(event)) return undefined;
  if (isObject(event.pull_request)) return numberOf(event.pull_request);
  const run = event.workflow_run;
  if (!isObject(run) || !isObject(run.head_repository)) return undefined;
  const owner = isObject(run.head_repository.owner) ? run.head_repository.owner.login : undefined;
  const head = encodeURIComponent(`${owner}:${run.head_branch}`);
  for await (const pull of listAll(api, `/repos/${repository}/pulls?state=open&head=${head}`)) {
    if (isObject(pull) && isObject(pull.head) && pull.head.sha === run.head_sha) {
      return numberOf(pull);
    }
  }
  return undefined;
}

function numberOf({ number }: Record<string, unknown>): number | undefined {
  return typeof number === "number" ? number : undefined;
}

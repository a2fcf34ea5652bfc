/** One comment on a pull request, found by its marker and kept up to date. */

import { isObject } from "../lib/report/check_schema.ts";
import { type Api, listAll } from "./github_api.ts";

/** What happened to the comment. */
export type CommentChange = "created" | "updated" | "unchanged";

/** Where a comment goes. */
export interface Thread {
  /** `OWNER/NAME`. */
  repository: string;
  /** Number of the pull request. */
  number: number;
}

/**
 * Writes the comment, or changes the one that is there.
 *
 * @param marker The hidden line it begins with.
 */
export async function writeComment(
  api: Api,
  { repository, number }: Thread,
  marker: string,
  body: string,
): Promise<CommentChange> {
  const comments = `/repos/${repository}/issues/${number}/comments`;
  for await (const comment of listAll(api, comments)) {
    if (!isOurs(comment, marker)) continue;
    if (comment.body === body) return "unchanged";
    await api("PATCH", `/repos/${repository}/issues/comments/${comment.id}`, { body });
    return "updated";
  }
  await api("POST", comments, { body });
  return "created";
}

/** Whether a comment is the one; a person who quotes the marker cannot make it theirs. */
function isOurs(comment: unknown, marker: string): comment is { id: number; body: string } {
  return isObject(comment) && typeof comment.id === "number" &&
    typeof comment.body === "string" && comment.body.startsWith(marker) &&
    isObject(comment.user) && comment.user.type === "Bot";
}

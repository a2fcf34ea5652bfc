/** Sees, before anything is written, that no two tensors of a checkpoint share a name. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";

/** Who takes a name. */
interface Owner {
  /** The source tensor. */
  tensor: string;
  /** Its shard. */
  shard: string;
}

/** Takes names for a tensor of the source; throws a `BadInputError` where one is taken already. */
export type ClaimNames = (names: Iterable<string>, owner: Owner) => void;

/**
 * Starts with no name taken: one checkpoint, whatever files it has, since a loader joins them.
 *
 * @param advice What helps, for the message.
 */
export function startClaims(advice: string): ClaimNames {
  const owners = new Map<string, Owner>();
  return (names, owner) => {
    for (const name of new Set(names)) {
      const other = owners.get(name);
      if (other === undefined) {
        owners.set(name, owner);
        continue;
      }
      const both = [other, owner].map(({ tensor, shard }) => `${quote(tensor)} of ${quote(shard)}`);
      throw new BadInputError(
        `Cannot write tensor ${quote(name)}: ${
          both.join(" and ")
        } would both take the name: ${advice}`,
      );
    }
  };
}

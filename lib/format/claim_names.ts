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

/** The names of a checkpoint's tensors: one checkpoint, whatever files it has, since a loader joins them. */
export interface Claims {
  /** Takes a name for a tensor of the source; throws a `BadInputError` where it is taken already. */
  claim: (name: string, owner: Owner) => void;
  /**
   * Checks names that are made of a layer's own, so that no other layer has them; throws a `BadInputError` where one
   * is taken already. They are not taken: those of very many layers would fill the memory.
   */
  check: (names: readonly string[], owner: Owner) => void;
}

/**
 * Starts with no name taken.
 *
 * @param advice What helps, for the message.
 */
export function startClaims(advice: string): Claims {
  const owners = new Map<string, Owner>();
  const refuse = (name: string, rivals: Owner[]): never => {
    const both = rivals.map(({ tensor, shard }) => `${quote(tensor)} of ${quote(shard)}`);
    throw new BadInputError(
      `Cannot write tensor ${quote(name)}: ${
        both.join(" and ")
      } would both take the name: ${advice}`,
    );
  };
  return {
    claim(name, owner) {
      const other = owners.get(name);
      if (other !== undefined) refuse(name, [other, owner]);
      owners.set(name, owner);
    },
    check(names, owner) {
      for (const name of names) {
        const other = owners.get(name);
        if (other !== undefined) refuse(name, [owner, other]);
      }
    },
  };
}

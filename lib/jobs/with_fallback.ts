/** A backend that hands its work over when its device fails. */

import type { Backend } from "./backend.ts";
import type { Job, ResultOf } from "./verbs.ts";
import { DeviceError } from "../compute/kernels.ts";

/**
 * Runs jobs on `first` until its device fails; then every job that failed with it, and all later ones,
 * on what `openNext` gives. A job that is done twice writes the same bytes twice.
 *
 * @param onFallback Told once why the device failed.
 */
export function withFallback(
  first: Backend,
  openNext: () => Promise<Backend>,
  onFallback: (reason: string) => void,
): Backend {
  let current = first;
  let next: Promise<Backend> | undefined;
  let isClosed = false;
  async function replace({ message }: DeviceError): Promise<Backend> {
    onFallback(message);
    current = await openNext();
    if (isClosed) current.close();
    return current;
  }
  return {
    get name() {
      return current.name;
    },
    get description() {
      return current.description;
    },
    async run<J extends Job>(job: J): Promise<ResultOf<J>> {
      if (next === undefined) {
        try {
          return await first.run(job);
        } catch (error) {
          if (!(error instanceof DeviceError)) throw error;
          next ??= replace(error);
        }
      }
      return await (await next).run(job);
    },
    close() {
      isClosed = true;
      first.close();
      if (current !== first) current.close();
    },
  };
}

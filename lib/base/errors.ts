/**
 * The errors callers catch, one class for each exit code, so that a program
 * or a CI job can tell bad input from a bug.
 *
 * Message style: the action that failed, the quoted subject, the present value,
 * the allowed value, what to do. Upper-case start, no full stop, one line.
 */

/** Bad usage or bad input: the file, flag or tensor named in the message has to change. Exit code 2. */
export class BadInputError extends Error {
  /** Always `"BadInputError"`. */
  override readonly name = "BadInputError";
}

/**
 * A baseline is missing, cannot be read, has another layout, or was measured with other settings, so
 * that nothing can be said about a regression. Exit code 4.
 */
export class BaselineError extends Error {
  /** Always `"BaselineError"`. */
  override readonly name = "BaselineError";
}

/** The run was stopped by a signal or by the caller's `AbortSignal`. Exit code 129, 130 or 143. */
export class InterruptedError extends Error {
  /** Always `"InterruptedError"`. */
  override readonly name = "InterruptedError";
}

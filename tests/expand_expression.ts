/** The part of GitHub's expressions that action.yml uses; anything else is an error. */

/** What expressions may name. */
export interface ExpressionContext {
  /** Values by their full name, such as `inputs.model`. */
  values: ReadonlyMap<string, string>;
  /** Whether every step before went well. */
  ok: boolean;
}

/** Expands each `${{ }}` of a text. */
export function expandText(text: string, context: ExpressionContext): string {
  return text.replaceAll(
    /\$\{\{(.*?)\}\}/g,
    (_, inner: string) => String(evaluate(inner, context)),
  );
}

/** Decides an `if`, which holds only after steps that went well unless it says otherwise. */
export function decide(condition: string | undefined, context: ExpressionContext): boolean {
  if (condition === undefined) return context.ok;
  const inner = /^\$\{\{(.*)\}\}$/.exec(condition.trim())?.[1] ?? condition;
  const holds = isTrue(evaluate(inner, context));
  return holds && (/\b(always|failure|cancelled)\(\)/.test(inner) || context.ok);
}

function isTrue(value: string | boolean): boolean {
  return value !== "" && value !== false;
}

function evaluate(text: string, context: ExpressionContext): string | boolean {
  const parts = text.split("&&").map((one) => one.trim());
  if (parts.length > 1) return parts.every((part) => isTrue(evaluate(part, context)));
  const [whole, left, operator, right] = /^(.+?)\s*(==|!=)\s*(.+)$/.exec(parts[0]!) ?? [];
  if (whole !== undefined) {
    const [a, b] = [evaluate(left!, context), evaluate(right!, context)];
    // GitHub compares text without regard to case.
    const same = String(a).toLowerCase() === String(b).toLowerCase();
    return operator === "==" ? same : !same;
  }
  return evaluateTerm(parts[0]!, context);
}

function evaluateTerm(term: string, { values, ok }: ExpressionContext): string | boolean {
  const literal = /^'([^']*)'$/.exec(term)?.[1];
  if (literal !== undefined) return literal;
  if (term === "always()") return true;
  if (term === "failure()") return !ok;
  const value = values.get(term);
  if (value !== undefined) return value;
  // A step that did not run has no outputs, and an output that was not set is empty.
  if (/^steps\.[\w-]+\.outputs\.[\w-]+$/.test(term)) return "";
  throw new Error(`Cannot expand ${JSON.stringify(term)}: it is not known here`);
}

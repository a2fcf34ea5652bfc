/** A number and what is counted, in the singular where it is one: `1 layer`, `2 layers`. */
export function countNouns(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

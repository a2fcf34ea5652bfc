/** What a runner makes of a step's output file and of its log. */

/** A command to the runner: `::error file=a,line=1::text`. */
export interface RunnerCommand {
  name: string;
  properties: Record<string, string>;
  message: string;
}

/** Reads the outputs that a step wrote: `name=value`, or `name<<END`, lines and `END`. */
export function parseOutputs(text: string): Map<string, string> {
  const outputs = new Map<string, string>();
  const lines = text.split("\n");
  while (lines.length > 0) {
    const line = lines.shift()!;
    if (line === "") continue;
    const [whole, name, sign, rest] = /^([^=]*?)(=|<<)(.*)$/.exec(line) ?? [];
    if (whole === undefined) throw new Error(`Invalid output line ${JSON.stringify(line)}`);
    if (sign === "=") {
      outputs.set(name!, rest!);
      continue;
    }
    const end = lines.indexOf(rest!);
    if (end < 0) throw new Error(`No end of the output ${JSON.stringify(name)}`);
    outputs.set(name!, lines.splice(0, end + 1).slice(0, -1).join("\n"));
  }
  return outputs;
}

/** Reads the commands in a log as the runner does, those in its old form anywhere in a line too. */
export function parseCommands(log: string): RunnerCommand[] {
  const commands: RunnerCommand[] = [];
  let stoppedBy: string | undefined;
  for (const line of log.split(/\r?\n/)) {
    const command = parseCommand(line);
    if (command === undefined) continue;
    if (stoppedBy !== undefined) {
      if (command.name === stoppedBy) stoppedBy = undefined;
    } else if (command.name === "stop-commands") stoppedBy = command.message;
    else commands.push(command);
  }
  return commands;
}

function parseCommand(line: string): RunnerCommand | undefined {
  const [, name, list = "", message] =
    /^\s*::([^\s:]+)(?: ([^:]*(?::[^:]+)*?))?::(.*)$/.exec(line) ??
      /##\[([^\s\]]+)(?: ([^\]]*))?\](.*)$/.exec(line) ?? [];
  if (name === undefined) return undefined;
  const properties = list.split(/[,;]/).filter((one) => one !== "").map((one) => {
    const [key, ...value] = one.split("=");
    return [key!, unescapeText(value.join("="))];
  });
  return { name, properties: Object.fromEntries(properties), message: unescapeText(message!) };
}

function unescapeText(text: string): string {
  const codes: Record<string, string> = { "0D": "\r", "0A": "\n", "3A": ":", "2C": ",", "25": "%" };
  return text.replaceAll(/%(0D|0A|3A|2C|25)/g, (_, code: string) => codes[code]!);
}

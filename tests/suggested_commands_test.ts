/** Commands that are suggested can be pasted into a shell, whatever the paths are called. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { namesIn, smallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { type Outcome, outcomeOf, spawnCli } from "./run_cli.ts";

/** Names that a shell or a parser would take for something else. */
const NAMES = ["-m", "--overwrite", "two words", "it's $HOME `ls`", "a;b&c|d", "*", "line\nbreak"];

/** Runs what follows a marker in a suggestion, as bash reads it, with the program that is under test. */
async function paste(command: string, cwd: string): Promise<Outcome> {
  const start = "npx --yes deno@2.9.6 ";
  assert.ok(command.startsWith(start), command);
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `"$0" ${command.slice(start.length)}`, Deno.execPath()],
    cwd,
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

const commandsIn = (text: string) =>
  text.split("\n").filter((line) => line.startsWith("  npx ")).map((line) => line.trim());

for (const name of NAMES) {
  Deno.test(`the commands that a run and a gate suggest work when paths are called ${JSON.stringify(name)}`, async () => {
    await withFiles({}, async (root) => {
      for (const [path, content] of Object.entries(smallModel(name))) {
        Deno.mkdirSync(join(root, path, ".."), { recursive: true });
        Deno.writeFileSync(
          join(root, path),
          typeof content === "string" ? new TextEncoder().encode(content) : content,
        );
      }
      const [output, report] = [`${name}-out`, `${name}.json`];
      const first = await outcomeOf(spawnCli(
        [`--model=${name}`, `--output=${output}`, `--report=${report}`],
        { cwd: root },
      ));
      assert.equal(first.code, 0, first.stderr);
      const [again, verify, none] = commandsIn(first.stderr);
      assert.equal(none, undefined);
      const verified = await paste(verify!, root);
      assert.equal(verified.code, 0, verified.stderr);
      const repeated = await paste(again!, root);
      assert.equal(repeated.code, 0, repeated.stderr);
      assert.deepEqual(namesIn(root), [`${name}.json`, `${name}.log`, output, name].sort());
      // Of a worse model than the one before the gate says how to accept it.
      const worse = join(root, "worse.json");
      const text = Deno.readTextFileSync(join(root, report));
      Deno.writeTextFileSync(worse, text.replace(/"sqnr_db": [\d.]+/, '"sqnr_db": 1'));
      const gated = await outcomeOf(spawnCli(["gate", `./${report}`, worse], { cwd: root }));
      assert.equal(gated.code, 3, gated.stderr);
      const [update] = /npx .*/.exec(gated.stderr)!;
      const updated = await paste(update, root);
      assert.equal(updated.code, 0, updated.stderr);
    });
  });
}

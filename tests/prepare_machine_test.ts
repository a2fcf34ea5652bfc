/** What the tests' own set-up does on machines of all kinds. */

import assert from "node:assert/strict";
import { describeSkips } from "./describe_skips.ts";
import { type Machine, prepareMachine } from "./prepare_machine.ts";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n';
const UBUNTU = "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n";
const FEDORA = "NAME=Fedora\nID=fedora\n";

const APT = "env DEBIAN_FRONTEND=noninteractive apt-get";
const UPDATE = `${APT} update -q`;
const INSTALL = `${APT} install -y -q --no-install-recommends`;
const CHROMIUM = `${INSTALL} chromium fonts-liberation`;
const MESA = `${INSTALL} mesa-vulkan-drivers libvulkan1`;
const GIT = `${INSTALL} git`;
const PLAYWRIGHT = "deno run --allow-all --frozen --lock=tests/deno.lock " +
  "npm:playwright-core@1.65.1 install --with-deps chromium";

/** Prepares a machine on which commands succeed unless they hold one of these words. */
async function prepare(
  world: Partial<Pick<Machine, "release" | "uid">> & {
    chromium?: boolean;
    adapter?: boolean;
    git?: boolean;
  },
  failing: readonly string[] = [],
): Promise<{ missing: string[]; ran: string[]; said: string[] }> {
  const [ran, said]: [string[], string[]] = [[], []];
  const installed = (what: RegExp) =>
    ran.some((line) => what.test(line) && !failing.some((word) => line.includes(word)));
  const missing = await prepareMachine({
    release: DEBIAN,
    uid: 0,
    hasChromium: () => world.chromium ?? installed(/ chromium( |$)/),
    hasAdapter: () => Promise.resolve(world.adapter ?? installed(/mesa/)),
    hasGit: () => Promise.resolve(world.git ?? installed(/ git$/)),
    run: (command) => {
      ran.push(command.join(" "));
      return Promise.resolve(!failing.some((word) => ran.at(-1)!.includes(word)));
    },
    say: (line) => said.push(line),
    ...world,
  });
  return { missing, ran, said };
}

Deno.test("prepareMachine() runs nothing and says nothing when all is there", async () => {
  const found = await prepare({ chromium: true, adapter: true, git: true });
  assert.deepEqual(found, { missing: [], ran: [], said: [] });
});

Deno.test("prepareMachine() says what it installs, and installs it, when it is root on Debian", async () => {
  const found = await prepare({});
  assert.deepEqual(found.ran, [UPDATE, CHROMIUM, MESA, GIT]);
  assert.deepEqual(found.said, [
    "Installing what some tests need:",
    `  ${UPDATE}`,
    `  ${CHROMIUM}`,
    `  ${MESA}`,
    `  ${GIT}`,
  ]);
  assert.deepEqual(found.missing, []);
});

Deno.test("prepareMachine() installs only what is missing", async () => {
  assert.deepEqual((await prepare({ chromium: true, git: true })).ran, [UPDATE, MESA]);
  assert.deepEqual((await prepare({ adapter: true, git: true })).ran, [UPDATE, CHROMIUM]);
});

Deno.test("prepareMachine() installs with sudo when that wants no password", async () => {
  const { ran, missing } = await prepare({ uid: 1000, chromium: true, git: true });
  assert.deepEqual(ran, ["sudo -n true", `sudo -n ${UPDATE}`, `sudo -n ${MESA}`]);
  assert.deepEqual(missing, []);
});

Deno.test("prepareMachine() takes Playwright's Chromium when Ubuntu has only a snap", async () => {
  assert.deepEqual((await prepare({ release: UBUNTU })).ran, [UPDATE, PLAYWRIGHT, MESA, GIT]);
  const { ran } = await prepare({ release: 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', uid: 1000 });
  assert.deepEqual(ran, [
    "sudo -n true",
    `sudo -n ${UPDATE}`,
    PLAYWRIGHT,
    ...[MESA, GIT].map((one) => `sudo -n ${one}`),
  ]);
});

Deno.test("prepareMachine() installs nothing and gives advice when it may not, or knows no way", async () => {
  const advice = [
    /^Tests of pages need Chromium .*CHROMIUM/,
    /^Tests of WebGPU need .*Vulkan/,
    /^Tests of workflows need git: install it/,
  ];
  for (
    const [world, failing, ran] of [
      [{ uid: 1000 }, ["sudo"], ["sudo -n true"]],
      [{ uid: 1000, release: FEDORA }, [], []],
      [{ uid: 0, release: "" }, [], []],
      [{ uid: null, release: "" }, [], []],
      [{ uid: null }, [], []],
    ] as const
  ) {
    const found = await prepare(world, failing);
    assert.deepEqual(found.ran, ran);
    assert.deepEqual(found.said, []);
    assert.equal(found.missing.length, 3);
    for (const [i, pattern] of advice.entries()) assert.match(found.missing[i]!, pattern);
  }
});

Deno.test("prepareMachine() goes on and gives advice when installing fails", async () => {
  const found = await prepare({}, ["chromium"]);
  assert.deepEqual(found.ran, [UPDATE, CHROMIUM, MESA, GIT]);
  assert.equal(found.missing.length, 1);
  assert.match(found.missing[0]!, /\(Debian: apt-get install chromium fonts-liberation\)$/);
  assert.equal((await prepare({}, ["apt-get"])).missing.length, 3);
});

Deno.test("describeSkips() counts what was skipped but not what a filter left out", () => {
  const results = `<testsuites name="deno test">
    <testsuite name="./x_test.ts" tests="4">
        <testcase name="a &lt;skipped/&gt;" classname="./x_test.ts" time="0.000" line="1" col="6">
            <skipped/>
        </testcase>
        <testcase name="b" classname="./x_test.ts" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="c" classname="./x_test.ts" time="0.001" line="3" col="6">
        </testcase>
        <testcase name="d" classname="./x_test.ts" time="0.000" line="4" col="6">
            <skipped/>
        </testcase>`;
  assert.deepEqual(describeSkips(results, ["Install it"]), ["2 tests skipped.", "Install it."]);
  assert.deepEqual(describeSkips("", ["Install it"]), []);
});

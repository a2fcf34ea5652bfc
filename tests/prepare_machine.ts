/** Sees to it that a machine has what some tests need, and says what it lacks. */

/** The machine, as far as it matters. */
export interface Machine {
  /** Text of /etc/os-release; empty where there is none. */
  release: string;
  /** Who runs this; 0 is root, `null` nobody of that kind. */
  uid: number | null;
  /** Whether there is a Chromium. */
  hasChromium(): boolean;
  /** Whether WebGPU finds an adapter. */
  hasAdapter(): Promise<boolean>;
  /** Whether there is git. */
  hasGit(): Promise<boolean>;
  /** Runs a command for all to see, and tells whether it succeeded. */
  run(command: readonly string[]): Promise<boolean>;
  /** Writes a line. */
  say(line: string): void;
}

/** What some tests need. */
interface Need {
  isMet: (machine: Machine) => boolean | Promise<boolean>;
  /** Packages of Debian and Ubuntu. */
  packages: readonly string[];
  /** What to do by hand. */
  advice: string;
}

const CHROMIUM: Need = {
  isMet: (machine) => machine.hasChromium(),
  packages: ["chromium", "fonts-liberation"],
  advice: "Tests of pages need Chromium or Chrome: install it, or name the program in CHROMIUM",
};

const ADAPTER: Need = {
  isMet: (machine) => machine.hasAdapter(),
  packages: ["mesa-vulkan-drivers", "libvulkan1"],
  advice: "Tests of WebGPU need a GPU's driver, or Mesa's, which computes on the processor: " +
    "install Mesa's Vulkan drivers and the Vulkan loader",
};

const GIT: Need = {
  isMet: (machine) => machine.hasGit(),
  packages: ["git"],
  advice: "Tests of workflows need git: install it",
};

/** Installs Playwright's build: Ubuntu has Chromium only as a snap, and a snap starts in no container. */
const PLAYWRIGHT = [
  "deno",
  "run",
  "--allow-all",
  "--frozen",
  "--lock=tests/deno.lock",
  "npm:playwright-core@1.65.1",
  "install",
  "--with-deps",
  "chromium",
];

/**
 * Installs what is missing, where that can be done without asking: on Debian, Ubuntu and their like as
 * root or with a `sudo` that wants no password.
 *
 * @returns What to install by hand; nothing where all is there.
 */
export async function prepareMachine(machine: Machine): Promise<string[]> {
  const missing: Need[] = [];
  for (const need of [CHROMIUM, ADAPTER, GIT]) {
    if (!await need.isMet(machine)) missing.push(need);
  }
  const commands = listCommands(missing, machine.release);
  if (commands.length === 0) return missing.map(({ advice }) => advice);
  const prefix = await findRights(machine);
  if (prefix !== undefined) {
    machine.say("Installing what some tests need:");
    const full = commands.map((command) =>
      command === PLAYWRIGHT ? command : [...prefix, ...command]
    );
    for (const command of full) machine.say(`  ${command.join(" ")}`);
    // A command that fails leaves its tests to be skipped; the others may succeed all the same.
    for (const command of full) await machine.run(command);
  }
  const left: string[] = [];
  for (const need of missing) {
    if (prefix === undefined || !await need.isMet(machine)) {
      left.push(`${need.advice} (Debian: apt-get install ${need.packages.join(" ")})`);
    }
  }
  return left;
}

/** The commands that install, in order. */
function listCommands(missing: readonly Need[], release: string): (readonly string[])[] {
  const names = /^ID(?:_LIKE)?=.*$/gm;
  const kin = [...release.matchAll(names)].join(" ");
  if (missing.length === 0 || !/\b(debian|ubuntu)\b/.test(kin)) return [];
  const isUbuntu = /\bubuntu\b/.test(kin);
  const apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
  return [
    [...apt, "update", "-q"],
    ...missing.map((need) =>
      need === CHROMIUM && isUbuntu
        ? PLAYWRIGHT
        : [...apt, "install", "-y", "-q", "--no-install-recommends", ...need.packages]
    ),
  ];
}

/** What to put before a command that installs; `undefined` where this user may not. */
async function findRights({ uid, run }: Machine): Promise<string[] | undefined> {
  if (uid === 0) return [];
  return uid !== null && await run(["sudo", "-n", "true"]) ? ["sudo", "-n"] : undefined;
}

/** Loaded before the command line: its workers take jobs and never answer. */

class StuckWorker extends Worker {
  override postMessage(): void {}
}

globalThis.Worker = StuckWorker;

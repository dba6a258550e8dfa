// SIGTERM drains, SIGINT drains and at the second time stops at once, SIGHUP reloads.

/** What the signals ask for. */
export interface SignalSink {
  onDrain(): void
  onStop(): void
  onReload(): void
}

/** Terminals and npm both deliver Ctrl-C; what comes within this time of the same signal is the same key press. */
export const SAME_SIGNAL_MS = 300

/** Decides what each signal means. Times in milliseconds of any monotonic clock. */
export class StopSignals {
  readonly #sink: SignalSink
  #interruptedMs = Number.NEGATIVE_INFINITY
  #interrupts = 0

  constructor(sink: SignalSink) {
    this.#sink = sink
  }

  receive(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', nowMs: number): void {
    if (signal === 'SIGHUP') {
      this.#sink.onReload()
      return
    }
    if (signal === 'SIGTERM') {
      this.#sink.onDrain()
      return
    }
    if (nowMs - this.#interruptedMs < SAME_SIGNAL_MS) return
    this.#interruptedMs = nowMs
    this.#interrupts += 1
    if (this.#interrupts === 1) this.#sink.onDrain()
    else this.#sink.onStop()
  }
}

/** Listens to the signals of this process from now on. */
export function listenToSignals(sink: SignalSink): void {
  const signals = new StopSignals(sink)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => signals.receive(signal, performance.now()))
  }
}

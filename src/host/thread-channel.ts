// A worker thread that takes typed messages: posted, and woken by an eventfd when it blocks outside its event loop.

import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { errorWord } from '#host/error-word.ts'

/** The first word of the shared memory: 1 while a message waits that the thread was woken for. */
export const PENDING_WORD = 0
/** The second: the thread's wake-up descriptor, −1 for none. */
export const WAKE_WORD = 1
const WAKE = new Uint8Array(new BigUint64Array([1n]).buffer)

/** Who is told. */
export interface ThreadSink<Up> {
  onMessage(message: Up): void
  /** The thread is gone, unasked. Once. */
  onThreadEnded(reason: string, message: string): void
}

/** What the thread is started with, as its `workerData`. */
export interface ThreadStart<Settings> {
  readonly shared: Int32Array
  readonly settings: Settings
}

/** The starting side of a thread. */
export class ThreadChannel<Down, Up, Settings> {
  readonly #worker: Worker
  readonly #shared = new Int32Array(new SharedArrayBuffer(8))
  #ended = false

  constructor(entry: URL, settings: Settings, sink: ThreadSink<Up>) {
    this.#shared[WAKE_WORD] = -1
    const workerData: ThreadStart<Settings> = { shared: this.#shared, settings }
    this.#worker = new Worker(entry, { workerData })
    const end = (reason: string, message: string): void => {
      if (this.#ended) return
      this.#ended = true
      sink.onThreadEnded(reason, message)
    }
    this.#worker.on('message', (message: Up) => {
      if (!this.#ended) sink.onMessage(message)
    })
    this.#worker.on('error', (error) => end(errorWord(error), error instanceof Error ? (error.stack ?? '') : ''))
    this.#worker.on('exit', () => end('EXIT', ''))
  }

  post(message: Down): void {
    if (this.#ended) return
    this.#worker.postMessage(message)
    const descriptor = Atomics.load(this.#shared, WAKE_WORD)
    if (descriptor < 0 || Atomics.exchange(this.#shared, PENDING_WORD, 1) === 1) return
    try {
      writeSync(descriptor, WAKE)
    } catch {
      // The thread has just ended; its end is told by itself.
    }
  }

  /** Ends the thread; nothing comes after. */
  async close(): Promise<void> {
    this.#ended = true
    await this.#worker.terminate()
  }
}

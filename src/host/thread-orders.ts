// The worker's side of a thread channel: messages taken in turn with other work, or from the event loop when there is none.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { present } from '#core/assert.ts'
import { PENDING_WORD, type ThreadStart, WAKE_WORD } from '#host/thread-channel.ts'

/** Messages taken in one turn, so that packets do not wait for them. */
const TAKEN_MAX = 64

/** What the thread that is running now was started with, its messages, and its answers. */
export class ThreadOrders<Down, Up, Settings> {
  readonly settings: Settings
  readonly #shared: Int32Array
  readonly #port = present(parentPort, 'this runs in a worker thread')
  readonly #onMessage: (message: Down) => void

  constructor(onMessage: (message: Down) => void) {
    const start = workerData as ThreadStart<Settings>
    this.settings = start.settings
    this.#shared = start.shared
    this.#onMessage = onMessage
  }

  /** Begins to take messages. `onArrival` is called for each that comes through the event loop, before it is taken. */
  listen(onArrival: () => void): void {
    this.#port.on('message', (message: Down) => {
      onArrival()
      this.#onMessage(message)
    })
  }

  /** The starting side writes to this descriptor when a message is there. */
  wakeBy(descriptor: number): void {
    Atomics.store(this.#shared, WAKE_WORD, descriptor)
  }

  /** Takes what has come. Cheap when nothing has. */
  take(): void {
    if (Atomics.load(this.#shared, PENDING_WORD) === 0) return
    Atomics.store(this.#shared, PENDING_WORD, 0)
    for (let taken = 0; taken < TAKEN_MAX; taken++) {
      const received = receiveMessageOnPort(this.#port) as { message: Down } | undefined
      if (received === undefined) return
      this.#onMessage(received.message)
    }
    // The rest waits for the next turn.
    Atomics.store(this.#shared, PENDING_WORD, 1)
  }

  post(message: Up): void {
    this.#port.postMessage(message)
  }
}

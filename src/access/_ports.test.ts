// Ports for the tests of this folder: virtual time, seeded randomness, a store in memory that can be crashed and broken.

import assert from 'node:assert/strict'
import { Counters } from '#core/counters.ts'
import type { Fields, Log, LogLevel } from '#core/log.ts'
import type { Endpoint, Net } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'
import { Generator } from '#sim/generator.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'

/** What a crash leaves: the text of each journal. */
export class MemoryStore implements Store {
  readonly files = new Map<string, string>()
  rewrites = 0
  /** Rewrites wait for `finishRewrite` when set. */
  holdRewrites = false
  #finish: (() => void) | null = null
  #sink: JournalSink | null = null

  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean } {
    const text = this.files.get(name) ?? ''
    const end = text.lastIndexOf('\n') + 1
    for (const line of text.slice(0, end).split('\n').slice(0, -1)) each(line)
    this.files.set(name, text.slice(0, end))
    this.#sink = sink
    return { journal: this.#journal(name), torn: end < text.length }
  }

  list(): string[] {
    return [...this.files.keys()]
  }

  remove(name: string): void {
    this.files.delete(name)
  }

  fail(reason: string): void {
    this.#sink?.onStoreError(reason)
  }

  recover(): void {
    this.#sink?.onDurable(1)
  }

  finishRewrite(): void {
    this.#finish?.()
    this.#finish = null
  }

  #journal(name: string): Journal {
    let sequence = 0
    let since: string[] | null = null
    return {
      append: (line) => {
        assert.ok(!line.includes('\n'))
        this.files.set(name, `${this.files.get(name)}${line}\n`)
        since?.push(line)
        sequence += 1
        return sequence
      },
      pending: 0,
      octets: 0,
      rewrite: (lines, done) => {
        this.rewrites += 1
        since = []
        const drawn: string[] = []
        const finish = (): void => {
          for (let line = lines.next(); line.done !== true; line = lines.next()) drawn.push(line.value)
          this.files.set(name, [...drawn, ...(since ?? [])].map((line) => `${line}\n`).join(''))
          since = null
          done(true)
        }
        if (this.holdRewrites) {
          const first = lines.next()
          if (first.done !== true) drawn.push(first.value)
          this.#finish = finish
        } else finish()
      },
      close: () => {},
    }
  }
}

export interface LoggedEvent {
  readonly level: LogLevel
  readonly code: string
  readonly fields: Fields
}

export class TestPorts implements Ports {
  readonly clock = new VirtualClock()
  readonly random: Generator
  readonly counters = new Counters()
  readonly store: MemoryStore
  readonly events: LoggedEvent[] = []
  readonly log: Log = { event: (level, code, fields) => this.events.push({ level, code, fields }) }

  constructor(store = new MemoryStore(), seed = 1) {
    this.store = store
    this.random = new Generator(seed)
  }

  get net(): Net {
    throw new Error('no network in these tests')
  }

  codes(): string[] {
    return this.events.map((event) => event.code)
  }

  counted(name: string): number {
    return this.counters.snapshot().find((row) => row.name === name)?.value ?? 0
  }
}

export function endpoint(host: string, port = 5060): Endpoint {
  return { host, port, family: host.includes(':') ? 6 : 4 }
}

// The location service: which contacts an address of record is bound to (RFC 3261 §10). In memory, and in a journal that
// survives the death of the process.

import { Binding } from '#access/binding.ts'
import { Interning, readLocationLine, writeLocationLine } from '#access/location-line.ts'
import { assert } from '#core/assert.ts'
import { Timer } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import { type Endpoint, sameEndpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Journal } from '#core/store.ts'

export type { Binding } from '#access/binding.ts'

/** Told of each binding that comes and goes; a refresh is both. */
export interface LocationWatcher {
  onBindingAdded(binding: Binding): void
  onBindingRemoved(binding: Binding): void
}

export const LOCATION_JOURNAL = 'location.journal'

/** No binding outlives this, whatever a journal says: the longest registration that the configuration can grant. */
const LIFETIME_MAX_MS = 604_800_000
/** Bindings that expire in one go; more follow after a breath. */
const EXPIRIES_PER_TICK_MAX = 5_000
const BREATH_MS = 5
const TICK_MS = 1_000
/** The journal is compacted when it has more lines than this, and than this many times those that count. */
const COMPACTION_LINES_MIN = 10_000
const COMPACTION_FACTOR = 2

export class Location {
  readonly #ports: Ports
  // One binding is held bare, several in a list with the best first: most users have one phone.
  readonly #entries = new Map<string, Binding | readonly Binding[]>()
  // Bindings by the second (of `Clock.now`) in which they expire, linked through themselves.
  readonly #seconds = new Map<number, Binding>()
  readonly #watchers: LocationWatcher[] = []
  readonly #timer = new Timer(this)
  readonly #interning = new Interning()
  readonly #journal: Journal
  readonly #corrupt: Counter
  readonly #storeErrors: Counter
  #count = 0
  /** The last second whose bindings are gone. */
  #sweptS = 0
  #lines = 0
  #compacting = false
  /** After a failed compaction: not again before the journal has so many lines. */
  #retryAtLines = 0
  #storeFailed = false
  #closed = false

  /** Reads the journal. Throws only when the store does (see `Store.open`). */
  constructor(ports: Ports) {
    this.#ports = ports
    const { counters } = ports
    this.#corrupt = counters.counter('carillon_location_corrupt_lines_total', 'Journal lines that could not be read.')
    this.#storeErrors = counters.counter('carillon_location_store_errors_total', 'Failures of the location journal.')
    counters.gauge('carillon_location_bindings', 'Registered contacts.', () => this.#count)
    counters.gauge('carillon_location_aors', 'Addresses of record with a contact.', () => this.#entries.size)
    this.#sweptS = Math.floor(ports.clock.now() / 1000)
    const { journal, torn } = ports.store.open(LOCATION_JOURNAL, (line) => this.#replay(line), this)
    this.#journal = journal
    ports.log.event(this.#corrupt.value > 0 || torn ? 'warn' : 'info', 'LOCATION_LOADED', {
      bindings: this.#count,
      aors: this.#entries.size,
      lines: this.#lines,
      corrupt: this.#corrupt.value,
      torn,
    })
    if (this.#count > 0) ports.clock.arm(this.#timer, 'expire', TICK_MS)
    this.#compactIfDue()
  }

  /** Bindings held. */
  get count(): number {
    return this.#count
  }

  /** Addresses of record that have one. */
  get aorCount(): number {
    return this.#entries.size
  }

  /** Octets of the journal. */
  get journalOctets(): number {
    return this.#journal.octets
  }

  /** The addresses of record, in no order; may be walked while bindings come and go. */
  aors(): IterableIterator<string> {
    return this.#entries.keys()
  }

  /** The unexpired bindings of an address of record (`aorFromUri`, `aorFromUser`): best q first, newest first within q. */
  bindings(aor: string): readonly Binding[] {
    const entry = this.#entries.get(aor)
    if (entry === undefined) return NONE
    const nowMs = this.#ports.clock.now()
    if (entry instanceof Binding) return entry.deadlineMs > nowMs ? [entry] : NONE
    return entry.every((binding) => binding.deadlineMs > nowMs)
      ? entry
      : entry.filter((binding) => binding.deadlineMs > nowMs)
  }

  /** Whether one of the bindings was registered from exactly this transport address. */
  isRegisteredFrom(aor: string, source: Endpoint): boolean {
    const entry = this.#entries.get(aor)
    if (entry === undefined) return false
    if (entry instanceof Binding) return sameEndpoint(entry.remote, source)
    return entry.some((binding) => sameEndpoint(binding.remote, source))
  }

  watch(watcher: LocationWatcher): void {
    this.#watchers.push(watcher)
  }

  /** One shared copy of a text that many bindings have, such as the user agent. */
  intern(text: string): string {
    return this.#interning.text(text)
  }

  /**
   * Makes `next` the bindings of `aor`, all or nothing (§10.3 step 7); those of before that are not in it are gone. In
   * `next` the newer stands before the older. When this returns the change survives the death of the process.
   */
  commit(aor: string, next: readonly Binding[]): void {
    const ordered = next.length > 1 ? next.toSorted((a, b) => b.q - a.q) : next
    const line = writeLocationLine(aor, ordered)
    assert(!line.includes('\n'), 'a journal line is one line')
    this.#journal.append(line)
    this.#lines += 1
    this.#replace(aor, ordered)
    if (this.#count > 0 && !this.#timer.armed) {
      this.#sweptS = Math.max(this.#sweptS, Math.floor(this.#ports.clock.now() / 1000))
      this.#ports.clock.arm(this.#timer, 'expire', TICK_MS)
    }
    this.#compactIfDue()
  }

  /** Ends: syncs and closes the journal. Bindings stay in it. */
  close(): void {
    this.#closed = true
    this.#ports.clock.cancel(this.#timer)
    this.#journal.close()
  }

  /** For the clock: drops what has expired. No line is written: a line names the time by itself. */
  onTimer(): void {
    const nowMs = this.#ports.clock.now()
    const until = Math.floor(nowMs / 1000)
    let budget = EXPIRIES_PER_TICK_MAX
    while (this.#sweptS < until && this.#count > 0) {
      const second = this.#sweptS + 1
      let binding = this.#seconds.get(second)
      while (binding !== undefined && budget > 0) {
        this.#expire(binding)
        budget -= 1
        binding = this.#seconds.get(second)
      }
      if (binding !== undefined) break
      this.#sweptS = second
    }
    if (this.#count === 0) return
    this.#ports.clock.arm(this.#timer, 'expire', budget === 0 ? BREATH_MS : TICK_MS)
  }

  /** For the journal. */
  onDurable(): void {
    if (!this.#storeFailed) return
    this.#storeFailed = false
    this.#ports.log.event('info', 'LOCATION_STORE_RESTORED', {})
  }

  /** For the journal: registrations go on in memory; the lines are queued in the store. */
  onStoreError(reason: string): void {
    this.#storeErrors.value += 1
    if (this.#storeFailed) return
    this.#storeFailed = true
    this.#ports.log.event('error', 'LOCATION_STORE_FAILED', { reason })
  }

  #replay(line: string): void {
    this.#lines += 1
    const { clock } = this.#ports
    const read = readLocationLine(line, this.#interning, clock.now(), clock.wallMs(), LIFETIME_MAX_MS)
    if (read === null) this.#corrupt.value += 1
    else this.#replace(read.aor, read.bindings)
  }

  #replace(aor: string, next: readonly Binding[]): void {
    // What comes is told before what goes, so that a refresh leaves no flow without a binding in between.
    const entry = this.#entries.get(aor)
    const before = entry === undefined ? NONE : entry instanceof Binding ? [entry] : entry
    for (const binding of next) if (!before.includes(binding)) this.#link(binding)
    for (const binding of before) if (!next.includes(binding)) this.#unlink(binding)
    this.#put(aor, next)
  }

  #put(aor: string, next: readonly Binding[]): void {
    const [first] = next
    if (first === undefined) this.#entries.delete(aor)
    else this.#entries.set(aor, next.length === 1 ? first : next)
  }

  #link(binding: Binding): void {
    const second = secondOf(binding.deadlineMs)
    assert(second > this.#sweptS, 'a binding is not expired when it is made')
    const head = this.#seconds.get(second)
    if (head !== undefined) {
      binding.next = head
      head.previous = binding
    }
    this.#seconds.set(second, binding)
    this.#count += 1
    for (const watcher of this.#watchers) watcher.onBindingAdded(binding)
  }

  #unlink(binding: Binding): void {
    const { previous, next } = binding
    if (next !== null) next.previous = previous
    if (previous !== null) previous.next = next
    else if (next !== null) this.#seconds.set(secondOf(binding.deadlineMs), next)
    else this.#seconds.delete(secondOf(binding.deadlineMs))
    binding.previous = null
    binding.next = null
    this.#count -= 1
    for (const watcher of this.#watchers) watcher.onBindingRemoved(binding)
  }

  #expire(binding: Binding): void {
    const entry = this.#entries.get(binding.aor)
    assert(entry !== undefined, 'a binding in a second is held')
    this.#unlink(binding)
    this.#put(binding.aor, entry instanceof Binding ? NONE : entry.filter((other) => other !== binding))
  }

  #compactIfDue(): void {
    if (this.#compacting || this.#lines < this.#retryAtLines) return
    if (this.#lines < Math.max(COMPACTION_LINES_MIN, this.#entries.size * COMPACTION_FACTOR)) return
    this.#compacting = true
    const linesBefore = this.#lines
    const drawn = { lines: 0 }
    this.#journal.rewrite(this.#liveLines(drawn), (succeeded) => {
      this.#compacting = false
      if (this.#closed) return
      if (succeeded) {
        this.#lines = drawn.lines + this.#lines - linesBefore
        this.#retryAtLines = 0
      } else {
        this.#retryAtLines = this.#lines * COMPACTION_FACTOR
        this.#ports.log.event('warn', 'LOCATION_COMPACTION_FAILED', { lines: this.#lines })
      }
    })
  }

  /** Each line says what holds when it is drawn; what changes later is appended after it, so the last line is right. */
  *#liveLines(drawn: { lines: number }): Generator<string> {
    for (const aor of this.#entries.keys()) {
      const bindings = this.bindings(aor)
      if (bindings.length === 0) continue
      drawn.lines += 1
      yield writeLocationLine(aor, bindings)
    }
  }
}

const NONE: readonly Binding[] = []

/** The first whole second at which a deadline has passed. */
function secondOf(ms: number): number {
  return Math.ceil(ms / 1000)
}

// Monotonic counters and gauges by name. Cheap enough for every packet: a counter is an object whose field is incremented.

export class Counter {
  readonly name: string
  readonly help: string
  value = 0
  constructor(name: string, help: string) {
    this.name = name
    this.help = help
  }
  add(n = 1): void {
    this.value += n
  }
}

/** A value read when somebody asks. */
export interface Gauge {
  readonly name: string
  readonly help: string
  read(): number
}

/** All counters and gauges of one process. Names are Prometheus names (`carillon_sip_requests_total{method="INVITE"}` with labels in the name). */
export class Counters {
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, Gauge>()

  /** The counter of that name, made on first use. */
  counter(name: string, help: string): Counter {
    let counter = this.#counters.get(name)
    if (counter === undefined) {
      counter = new Counter(name, help)
      this.#counters.set(name, counter)
    }
    return counter
  }

  /** Registers a gauge; a second one of the same name replaces the first. */
  gauge(name: string, help: string, read: () => number): void {
    this.#gauges.set(name, { name, help, read })
  }

  /** Everything, as plain data for the manager or for /metrics. */
  snapshot(): { name: string; help: string; kind: 'counter' | 'gauge'; value: number }[] {
    const rows: { name: string; help: string; kind: 'counter' | 'gauge'; value: number }[] = []
    for (const c of this.#counters.values()) rows.push({ name: c.name, help: c.help, kind: 'counter', value: c.value })
    for (const g of this.#gauges.values()) rows.push({ name: g.name, help: g.help, kind: 'gauge', value: g.read() })
    return rows
  }
}

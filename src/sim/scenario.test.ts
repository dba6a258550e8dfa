import assert from 'node:assert/strict'
import test from 'node:test'
import { Timer } from '#core/clock.ts'
import type { DatagramSocket, Endpoint, Net } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Journal, Store } from '#core/store.ts'
import { FAULTS, type Fault, runScenario } from '#sim/scenario.ts'
import { Violation } from '#sim/world.ts'

const NONE: ReadonlySet<Fault> = new Set()

/** Ports whose datagrams pass through `send`, which sends what it likes instead. */
function sabotageSocket(send: (text: string, to: Endpoint, socket: DatagramSocket) => void): (ports: Ports) => Ports {
  return (ports) => {
    const net: Net = {
      listen: (...rest) => ports.net.listen(...rest),
      connect: (...rest) => ports.net.connect(...rest),
      resolve: (...rest) => ports.net.resolve(...rest),
      udp: (local, sink) => {
        const socket = ports.net.udp(local, sink)
        return {
          send: (bytes, to) => send(Buffer.from(bytes).toString('latin1'), to, socket),
          close: () => socket.close(),
        }
      },
    }
    return { ...ports, net }
  }
}

/** Ports whose journals pass each line through `change`; null loses it. */
function sabotageStore(folder: RegExp, change: (line: string) => string | null): (ports: Ports) => Ports {
  return (ports) => {
    const store: Store = {
      list: (folderName) => ports.store.list(folderName),
      remove: (name) => ports.store.remove(name),
      open: (name, each, sink) => {
        const opened = ports.store.open(name, each, sink)
        if (!folder.test(name)) return opened
        const { journal } = opened
        const changed: Journal = {
          get pending() {
            return journal.pending
          },
          get octets() {
            return journal.octets
          },
          append: (line) => {
            const text = change(line)
            return text === null ? 0 : journal.append(text)
          },
          rewrite: (lines, done) => journal.rewrite(lines, done),
          close: () => journal.close(),
        }
        return { ...opened, journal: changed }
      },
    }
    return { ...ports, store }
  }
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1')

function isFinal(text: string, method: string): boolean {
  return /^SIP\/2\.0 [2-6]/.test(text) && text.includes(` ${method}\r\n`)
}

test('the same seed gives the same world, packet for packet, with every kind of fault', () => {
  for (const seed of [1, 2]) {
    const hashes = [0, 1].map(() => {
      let report = ''
      try {
        report = runScenario(seed, { faults: new Set(FAULTS) }).traceHash
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        report = error.message
      }
      return report
    })
    assert.equal(hashes[0], hashes[1])
  }
})

test('worlds without faults are clean', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const report = runScenario(seed, { faults: NONE })
    assert.ok(report.answered > 0, `seed ${seed}`)
  }
})

const MUTATIONS: readonly {
  readonly name: string
  readonly caught: RegExp
  readonly sabotage: (ports: Ports) => Ports
  readonly faults?: ReadonlySet<Fault>
  readonly seed?: number
}[] = [
  {
    name: 'never sends a BYE',
    caught: /the ends of \S+ ended \d+ ms apart|owes a BYE|no BYE was seen|lasted/,
    sabotage: sabotageSocket((text, to, socket) => {
      if (!text.startsWith('BYE ')) socket.send(bytesOf(text), to)
    }),
  },
  {
    name: 'never sends an ACK',
    caught: /owes an ACK/,
    sabotage: sabotageSocket((text, to, socket) => {
      if (!text.startsWith('ACK ')) socket.send(bytesOf(text), to)
    }),
  },
  {
    name: 'keeps the final responses to INVITE for itself',
    caught: /owes a final response to the INVITE/,
    sabotage: sabotageSocket((text, to, socket) => {
      if (!isFinal(text, 'INVITE') || text.startsWith('SIP/2.0 407')) socket.send(bytesOf(text), to)
    }),
  },
  {
    name: 'answers an INVITE twice',
    caught: /answered one INVITE in two ways/,
    sabotage: sabotageSocket((text, to, socket) => {
      socket.send(bytesOf(text), to)
      if (isFinal(text, 'INVITE') && text.startsWith('SIP/2.0 200')) {
        socket.send(bytesOf(text.replace('SIP/2.0 200 OK', 'SIP/2.0 603 Decline')), to)
      }
    }),
  },
  {
    name: 'sends responses to another port than the request came from',
    caught: /sent a response to \S+; the request came from/,
    sabotage: sabotageSocket((text, to, socket) => {
      const isResponse = text.startsWith('SIP/2.0 ')
      socket.send(bytesOf(text), isResponse ? { ...to, port: to.port + 1 } : to)
    }),
  },
  {
    name: 'answers what nobody asked',
    caught: /sent a response that nobody asked for/,
    sabotage: sabotageSocket((text, to, socket) => {
      socket.send(bytesOf(text), to)
      if (isFinal(text, 'REGISTER')) socket.send(bytesOf(text.replace(/branch=z9hG4bK/, 'branch=z9hG4bKother')), to)
    }),
  },
  {
    name: 'tells one side an address of the other',
    caught: /told agent \d+ the address/,
    sabotage: sabotageSocket((text, to, socket) => {
      const other = to.host === '192.0.2.1' ? '192.0.2.2' : '192.0.2.1'
      socket.send(bytesOf(text.replace('User-Agent: Carillon', `User-Agent: Carillon for ${other}`)), to)
    }),
  },
  {
    name: 'loses Max-Forwards',
    caught: /sent a message with max-forwards/,
    sabotage: sabotageSocket((text, to, socket) => {
      socket.send(bytesOf(text.replace(/Max-Forwards: \d+\r\n/, '')), to)
    }),
  },
  {
    name: 'writes a wrong Content-Length',
    caught: /content-length/,
    sabotage: sabotageSocket((text, to, socket) => {
      socket.send(bytesOf(text.replace(/Content-Length: (\d)/, 'Content-Length: 1$1')), to)
    }),
  },
  {
    name: 'loses every tenth record',
    caught: /record \d+ has number \d+|has the records|has no record/,
    sabotage: sabotageStore(/^cdr\//, (line) => (/"sequence":\d*0,/.test(line) ? null : line)),
  },
  {
    name: 'charges a second too much',
    caught: /lasted \S+ ms on the wire/,
    sabotage: sabotageStore(/^cdr\//, (line) =>
      line.replace(/"durationMs":(\d+)/, (_whole, durationMs) => `"durationMs":${Number(durationMs) + 1_000}`),
    ),
  },
  {
    name: 'keeps the answers to UPDATE and INFO for itself, where messages are lost too',
    caught: /owes a final response to the (UPDATE|INFO)/,
    sabotage: sabotageSocket((text, to, socket) => {
      if (!isFinal(text, 'UPDATE') && !isFinal(text, 'INFO')) socket.send(bytesOf(text), to)
    }),
    faults: new Set(['loss']),
  },
  {
    name: 'leaves a timer behind with each call',
    caught: /timers 'leftover' armed at idle/,
    sabotage: (ports) => ({
      ...ports,
      clock: {
        now: () => ports.clock.now(),
        wallMs: () => ports.clock.wallMs(),
        arm: (timer, name, delayMs) => {
          ports.clock.arm(timer, name, delayMs)
          if (name === 'noAnswer') ports.clock.arm(new Timer({ onTimer() {} }), 'leftover', 86_400_000)
        },
        cancel: (timer) => ports.clock.cancel(timer),
      },
    }),
  },
  {
    name: 'forgets calls when it dies',
    caught: /forgot a call in a crash/,
    sabotage: sabotageStore(/^calls/, () => null),
    faults: new Set(['switchCrash']),
    seed: 4,
  },
  {
    name: 'forgets bindings when it dies',
    caught: /forgot the binding/,
    sabotage: sabotageStore(/^location/, () => null),
    faults: new Set(['switchCrash']),
  },
]

for (const { name, caught, sabotage, faults, seed } of MUTATIONS) {
  test(`a switch that ${name} is caught`, () => {
    assert.throws(
      () => runScenario(seed ?? 3, { faults: faults ?? NONE, sabotage, phones: 4, calls: 40 }),
      (error) => {
        assert.ok(error instanceof Violation, String(error))
        assert.match(error.message, caught)
        return true
      },
    )
  })
}

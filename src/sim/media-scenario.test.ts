import assert from 'node:assert/strict'
import test from 'node:test'
import { Timer } from '#core/clock.ts'
import type { DatagramSocket, Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Journal, Store } from '#core/store.ts'
import { MEDIA_PORT_FIRST, MEDIA_PORT_LAST } from '#sim/gateway-node.ts'
import { type Fault, runScenario } from '#sim/scenario.ts'
import { Violation } from '#sim/world.ts'

const NONE: ReadonlySet<Fault> = new Set()
/** A world in which people talk long enough. */
const SEED = 7

/** One RTP socket of the sabotaged gateway. */
interface Tapped {
  readonly socket: DatagramSocket
  lastTo: Endpoint | null
  firstMs: number
}

interface Sabotage {
  /** Sends what it likes instead of the packet. */
  readonly send?: (bytes: Uint8Array, to: Endpoint, own: Tapped, all: readonly Tapped[], nowMs: number) => void
  /** Instead of closing the socket. */
  readonly close?: (own: Tapped, ports: Ports) => void
  /** Where a packet seems to have come from. */
  readonly source?: (from: Endpoint, own: Tapped) => Endpoint
}

/** Ports of a gateway whose RTP sockets are not what they seem. */
function sabotageRtp({ send, close, source }: Sabotage): (ports: Ports) => Ports {
  return (ports) => {
    const all: Tapped[] = []
    const net: Ports['net'] = {
      listen: (...rest) => ports.net.listen(...rest),
      connect: (...rest) => ports.net.connect(...rest),
      resolve: (...rest) => ports.net.resolve(...rest),
      udp: (local, sink) => {
        const isRtp = local.port >= MEDIA_PORT_FIRST && local.port <= MEDIA_PORT_LAST && local.port % 2 === 0
        if (!isRtp) return ports.net.udp(local, sink)
        const socket = ports.net.udp(local, {
          onDatagram: (bytes, from) => sink.onDatagram(bytes, source === undefined ? from : source(from, own)),
          onListening: (bound) => sink.onListening(bound),
          onSocketError: (reason) => sink.onSocketError(reason),
        })
        const own: Tapped = { socket, lastTo: null, firstMs: -1 }
        all.push(own)
        return {
          send: (bytes, to) => {
            own.lastTo = to
            if (own.firstMs < 0) own.firstMs = ports.clock.now()
            if (send === undefined) socket.send(bytes, to)
            else send(bytes, to, own, all, ports.clock.now())
          },
          close: () => {
            if (close === undefined) socket.close()
            else close(own, ports)
          },
        }
      },
    }
    return { ...ports, net }
  }
}

/** The switch's journal of records, each line changed. */
function sabotageRecords(change: (line: string) => string): (ports: Ports) => Ports {
  return (ports) => {
    const store: Store = {
      list: (folder) => ports.store.list(folder),
      remove: (name) => ports.store.remove(name),
      open: (name, each, sink) => {
        const opened = ports.store.open(name, each, sink)
        if (!name.startsWith('cdr/')) return opened
        const { journal } = opened
        const changed: Journal = {
          get pending() {
            return journal.pending
          },
          get octets() {
            return journal.octets
          },
          append: (line) => journal.append(change(line)),
          rewrite: (lines, done) => journal.rewrite(lines, done),
          close: () => journal.close(),
        }
        return { ...opened, journal: changed }
      },
    }
    return { ...ports, store }
  }
}

test('worlds with a media gateway and without faults are clean, and the same seed gives the same one', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const report = runScenario(seed, { faults: NONE, media: 'gateway', calls: 40 })
    assert.ok(report.relayed > 0, `seed ${seed}`)
    const again = runScenario(seed, { faults: NONE, media: 'gateway', calls: 40 })
    assert.equal(again.traceHash, report.traceHash)
  }
})

const MUTATIONS: readonly {
  readonly name: string
  readonly caught: RegExp
  readonly sabotageGateway?: (ports: Ports) => Ports
  readonly sabotage?: (ports: Ports) => Ports
  readonly faults?: ReadonlySet<Fault>
}[] = [
  {
    name: 'sends media to a wrong address',
    caught: /media from port \d+ to \S+, which nobody negotiated/,
    sabotageGateway: sabotageRtp({
      send: (bytes, to, { socket }) => socket.send(bytes, { ...to, port: to.port + 20 }),
    }),
  },
  {
    name: 'goes on after the end of a call',
    caught: /still relays \d+ ms after the end of its call/,
    sabotageGateway: sabotageRtp({
      close: ({ socket, lastTo }, { clock }) => {
        const last = new Timer({
          onTimer: () => {
            if (lastTo !== null) socket.send(new Uint8Array(172).fill(0x80, 0, 1), lastTo)
            socket.close()
          },
        })
        clock.arm(last, 'last', 8_000)
      },
    }),
  },
  {
    name: 'mixes two calls',
    caught: /hears phone\d+|hears carrier\d+/,
    sabotageGateway: sabotageRtp({
      send: (bytes, to, own, all) => {
        own.socket.send(bytes, to)
        for (const { socket, lastTo } of all.slice(-4)) if (lastTo !== null) socket.send(bytes, lastTo)
      },
    }),
  },
  {
    name: 'lets strangers in',
    caught: /hears a stranger/,
    sabotageGateway: sabotageRtp({ source: (from, { lastTo }) => lastTo ?? from }),
    faults: new Set(['rubbish']),
  },
  {
    name: 'relays nothing',
    caught: /does not hear/,
    sabotageGateway: sabotageRtp({ send: () => {} }),
  },
  {
    name: 'relays the first three seconds only',
    caught: /lasted \d+ ms in its STOP, and its media \d+ ms/,
    sabotageGateway: sabotageRtp({
      send: (bytes, to, { socket, firstMs }, _all, nowMs) => {
        if (nowMs - firstMs < 3_000) socket.send(bytes, to)
      },
    }),
  },
  {
    name: 'never closes a socket',
    caught: /\d+ sockets open at idle in the gateway/,
    sabotageGateway: sabotageRtp({ close: () => {} }),
  },
  {
    name: 'writes records without media',
    caught: /has no media facts/,
    sabotage: sabotageRecords((line) => line.replace(/"media":\{.*?\}\}/, '"media":null')),
  },
  {
    name: 'counts ten times as many packets',
    caught: /says \{"codec".*arrived/,
    sabotage: sabotageRecords((line) => line.replace(/"packets":(\d+)/g, (_whole, count) => `"packets":9${count}`)),
  },
  {
    name: 'tells one side where the other wants its media',
    caught: /a description to \S+ names \S+ for media/,
    sabotage: (ports) => {
      const net: Ports['net'] = {
        listen: (...rest) => ports.net.listen(...rest),
        connect: (...rest) => ports.net.connect(...rest),
        resolve: (...rest) => ports.net.resolve(...rest),
        udp: (local, sink) => {
          const socket = ports.net.udp(local, sink)
          return {
            send: (bytes, to) => {
              const text = Buffer.from(bytes).toString('latin1')
              if (local.port !== 5060 || !text.includes('\nc=IN IP4 203.0.113.20\r')) socket.send(bytes, to)
              else {
                // As many octets, so that the message stays whole.
                socket.send(Buffer.from(text.replace('c=IN IP4 203.0.113.20', 'c=IN IP4 192.0.20.111'), 'latin1'), to)
              }
            },
            close: () => socket.close(),
          }
        },
      }
      return { ...ports, net }
    },
  },
]

for (const { name, caught, sabotage, sabotageGateway, faults } of MUTATIONS) {
  test(`a system that ${name} is caught`, () => {
    const broken = {
      ...(sabotage === undefined ? {} : { sabotage }),
      ...(sabotageGateway === undefined ? {} : { sabotageGateway }),
    }
    assert.throws(
      () => runScenario(SEED, { faults: faults ?? NONE, media: 'gateway', phones: 4, calls: 40, ...broken }),
      (error) => {
        assert.ok(error instanceof Violation, String(error))
        assert.match(error.message, caught)
        return true
      },
    )
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TrunkLoad } from '#border/trunk-load.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'

const EAST = { name: 'east', channelsMax: 2, cpsMax: 3 }
const WEST = { name: 'west', channelsMax: 100, cpsMax: 100 }

test('no more channels than channelsMax; one given back can be taken again', () => {
  const load = new TrunkLoad(new VirtualClock())
  assert.deepEqual([load.seize(EAST), load.seize(EAST), load.seize(EAST)], [true, true, false])
  load.release('east')
  assert.equal(load.seize(EAST), true)
  assert.equal(load.channels('east'), 2)
  assert.equal(load.seize(WEST), true)
  assert.equal(load.total, 3)
})

test('no more calls in one second than cpsMax, also of calls that have ended; refused ones do not count', () => {
  const clock = new VirtualClock()
  const load = new TrunkLoad(clock)
  const call = (): boolean => {
    const seized = load.seize(EAST)
    if (seized) load.release('east')
    return seized
  }
  assert.deepEqual([call(), call(), call(), call(), call()], [true, true, true, false, false])
  clock.runUntil(999)
  assert.equal(call(), false)
  clock.runUntil(1_000)
  assert.deepEqual([call(), call(), call(), call()], [true, true, true, false])
})

test('giving back what was not taken is a broken invariant', () => {
  const load = new TrunkLoad(new VirtualClock())
  assert.throws(() => load.release('east'), /was not taken/)
  load.seize(EAST)
  load.release('east')
  assert.throws(() => load.release('east'), /was not taken/)
})

test('a group that is configured no more is forgotten when its last call has ended', () => {
  const load = new TrunkLoad(new VirtualClock())
  load.seize(EAST)
  load.keepOnly(new Set())
  assert.equal(load.channels('east'), 1)
  load.release('east')
  load.keepOnly(new Set())
  assert.equal(load.total, 0)
})

test('the channels of a group are those taken and not given back, whatever the order', () => {
  const step = fc.record({ group: fc.constantFrom(EAST, WEST), take: fc.boolean(), ms: fc.nat(700) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new VirtualClock()
      const load = new TrunkLoad(clock)
      const held = new Map<string, number>()
      for (const { group, take, ms } of steps) {
        clock.runUntil(clock.now() + ms)
        const { name, channelsMax } = group
        const count = held.get(name) ?? 0
        if (take && load.seize(group)) held.set(name, count + 1)
        else if (!take && count > 0) {
          load.release(name)
          held.set(name, count - 1)
        }
        assert.equal(load.channels(name), held.get(name) ?? 0)
        assert.ok(load.channels(name) <= channelsMax)
      }
      assert.equal(
        load.total,
        [...held.values()].reduce((sum, n) => sum + n, 0),
      )
    }),
  )
})

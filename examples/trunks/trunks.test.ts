// The interconnect, as a test.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trunks } from '#examples/trunks/trunks.ts'
import { peer } from '#test/peers.ts'

test(
  'a call goes out by the longest prefix, past a trunk that refuses to one that answers',
  peer('sipp').options,
  async () => {
    const lines: string[] = []
    const record = await trunks((text) => lines.push(text))
    assert.match(lines.join('\n'), /Result: \+442079460000 goes out over trunk groups london, then east/)
    assert.equal(record.ingressTrunkGroup, 'west')
    assert.equal(record.egressTrunkGroup, 'east')
    assert.equal(record.calledNumber, '+442079460000')
    assert.deepEqual(
      record.routesTried.map((tried) => [tried.trunkGroup, tried.status]),
      [
        ['london', 503],
        ['east', 200],
      ],
    )
  },
)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { copyString } from '#core/strings.ts'

test('a copied string does not hold on to the text it was cut from', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heldOctets = (cut: (text: string) => string): number => {
    const kept: string[] = []
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 200; i += 1) kept.push(cut(Buffer.alloc(60_000, 97 + (i % 26)).toString('latin1')))
    collect()
    const held = process.memoryUsage().heapUsed - before
    assert.equal(kept.length, 200)
    return held
  }
  assert.ok(heldOctets((text) => text.slice(1000, 1030)) > 10_000_000, 'a slice holds its text')
  assert.ok(heldOctets((text) => copyString(text.slice(1000, 1030))) < 1_000_000, 'a copy does not')
})

test('a copied string is equal to what was copied', () => {
  for (const text of ['', 'a', 'z9hG4bK776asdhds', 'à\u00a0', '\u{1f4de}', '\0']) assert.equal(copyString(text), text)
})

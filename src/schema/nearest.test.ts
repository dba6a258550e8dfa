import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '#schema/nearest.ts'

const KEYS = ['listen', 'advertise', 'user', 'number', 'name', 'peers', 'cpsMax', 'tls']

test('the key that was most likely meant is found', () => {
  assert.equal(nearest('lisen', KEYS), 'listen')
  assert.equal(nearest('Listen', KEYS), 'listen')
  assert.equal(nearest('usre', KEYS), 'user')
  assert.equal(nearest('advertize', KEYS), 'advertise')
  assert.equal(nearest('cps_max', KEYS), 'cpsMax')
  assert.equal(nearest('nmae', KEYS), 'name')
})

test('what resembles nothing gets no suggestion', () => {
  for (const word of ['', 'x', 'zzzzzz', 'completely', 'u'.repeat(100_000)])
    assert.equal(nearest(word, KEYS), null, word)
})

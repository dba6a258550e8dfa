// The comparison that decides whether a clone needs an installation.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingPackages } from '#tools/setup.mjs'

const lock = {
  packages: {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b': { version: '2.0.0', dev: true },
    'node_modules/c': { version: '3.0.0', optional: true },
  },
}

test('nothing is missing when every package has the version of the lock', () => {
  const installed = { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } } }
  assert.deepEqual(missingPackages(lock, installed, true), [])
})

test('another version counts as missing', () => {
  const installed = { packages: { 'node_modules/a': { version: '1.0.1' }, 'node_modules/b': { version: '2.0.0' } } }
  assert.deepEqual(missingPackages(lock, installed, true), ['node_modules/a'])
})

test('development packages count only where they are used', () => {
  const installed = { packages: { 'node_modules/a': { version: '1.0.0' } } }
  assert.deepEqual(missingPackages(lock, installed, false), [])
  assert.deepEqual(missingPackages(lock, installed, true), ['node_modules/b'])
})

test('a package whose folder is gone is missing though it is listed', () => {
  const installed = { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } } }
  assert.deepEqual(
    missingPackages(lock, installed, true, (path: string) => path !== 'node_modules/b'),
    ['node_modules/b'],
  )
})

test('without an installation everything is missing', () => {
  assert.deepEqual(missingPackages(lock, null, true), ['node_modules/a', 'node_modules/b'])
})

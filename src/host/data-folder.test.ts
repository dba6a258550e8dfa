// What is kept in the data folder: secrets, the hold of one process.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dataFolder, holdDataFolder, keptSecret, readIfThere, writePrivate } from '#host/data-folder.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'carillon-data-'))
  t.after(() => rmSync(path, { recursive: true }))
  return dataFolder(join(path, 'data'))
}

test('the folder and what is private in it are for our user alone', (t) => {
  const path = folder(t)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  writeFileSync(join(path, 'open'), 'x', { mode: 0o644 })
  writePrivate(join(path, 'open'), 'y')
  assert.equal(statSync(join(path, 'open')).mode & 0o777, 0o600)
  assert.equal(readIfThere(join(path, 'open')), 'y')
  assert.equal(readIfThere(join(path, 'absent')), null)
})

test('a secret is made once and kept', (t) => {
  const path = folder(t)
  assert.equal(
    keptSecret(path, 'a.token', () => 'first'),
    'first',
  )
  assert.equal(
    keptSecret(path, 'a.token', () => 'second'),
    'first',
  )
})

test('one process holds the folder in a role at a time', async (t) => {
  const path = folder(t)
  assert.equal(await holdDataFolder(path, 'switch'), true)
  if (process.platform === 'linux') assert.equal(await holdDataFolder(path, 'switch', 0), false)
  assert.equal(await holdDataFolder(path, 'supervisor'), true)
  assert.equal(await holdDataFolder(`${path}-other`, 'switch'), true)
})

// Looking up the programs of others: found, absent on a laptop, absent under CI.

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findPeer } from '#test/peers.ts'

test('a peer is found in its folder; an absent one is skipped with what to install, and fails under CI', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-peers-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'sipp'), '')
  assert.match(String(findPeer('sipp', [folder], false).options.skip), /apt-get install sip-tester/)
  chmodSync(join(folder, 'sipp'), 0o755)
  assert.deepEqual(findPeer('sipp', ['', folder], true), { path: join(folder, 'sipp'), options: { skip: false } })
  assert.throws(() => findPeer('tshark', [folder], true), /tshark is not installed/)
})

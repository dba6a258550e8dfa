// Call detail records when the process that writes them is killed at any moment: nothing lost, nothing doubled (DESIGN §5).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Cdr } from '#schema/cdr.ts'

const DEATHS = 50
/** Records after which the writer is killed, drawn anew each time: across several files, or into the first records. */
const RECORDS_BEFORE_DEATH_MAX = 400
const WRITER = join(import.meta.dirname, 'cdr-writer.ts')

/** Runs the writer and gives the lines it wrote; kills it when it has written `records`, or lets it end when null. */
async function run(folder: string, records: number | null): Promise<string[]> {
  const args = [WRITER, folder, ...(records === null ? ['once'] : [])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    const text = chunk.toString()
    output += text
    lines += text.split('\n').length - 1
    if (records !== null && lines >= records) child.kill('SIGKILL')
  })
  await once(child, 'close')
  // The last line may be torn; it is no acknowledgement then.
  return output
    .slice(0, output.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
}

test('records written before kill -9 are there once and without gap, and every START has one STOP', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-cdr-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const acknowledged: string[] = []
  for (let death = 0; death < DEATHS; death++) {
    acknowledged.push(...(await run(folder, 1 + Math.floor(Math.random() * RECORDS_BEFORE_DEATH_MAX))))
  }
  acknowledged.push(...(await run(folder, null)))

  const cdrs = join(folder, 'cdr')
  const records = readdirSync(cdrs)
    .sort()
    .flatMap((file) => readFileSync(join(cdrs, file), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Cdr)
  t.diagnostic(
    `${records.length} records, ${acknowledged.length} lines acknowledged, ${readdirSync(cdrs).length} files`,
  )

  for (const [index, record] of records.entries()) assert.equal(record.sequence, index + 1)
  for (const line of acknowledged) {
    const [what, sequence, type, callId] = line.split(' ')
    if (what !== 'record') {
      assert.ok(line === 'open' || line === 'event CDR_TORN_TAIL', line)
      continue
    }
    const record = records[Number(sequence) - 1]
    assert.deepEqual([record?.type, record?.callId], [type, callId])
  }
  const starts = records.filter((record) => record.type === 'START').map((record) => record.callId)
  const stops = records.filter((record) => record.type === 'STOP').map((record) => record.callId)
  assert.ok(starts.length > DEATHS)
  assert.equal(new Set(starts).size, starts.length)
  assert.deepEqual(stops.sort(), starts.sort())
})

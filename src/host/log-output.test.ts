// Log lines on their way out, with readers that are slow, full or gone.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BATCH_OCTETS, LogOutput, type OutputFiles, QUEUED_OCTETS_MAX } from '#host/log-output.ts'

/** A descriptor that takes what it is told to; `answers` are octets to take, or the word of an error. */
class FakeFiles implements OutputFiles {
  text = ''
  pending: (() => void)[] = []
  answers: (number | string)[] = []
  pausedMs = 0

  write(_fd: number, bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, octets: number) => void): void {
    this.pending.push(() => {
      try {
        done(null, this.writeSync(0, bytes))
      } catch (error) {
        done(error as NodeJS.ErrnoException, 0)
      }
    })
  }

  writeSync(_fd: number, bytes: Uint8Array): number {
    const answer = this.answers.shift() ?? bytes.length
    if (typeof answer === 'string') throw Object.assign(new Error(answer), { code: answer })
    this.text += Buffer.from(bytes.subarray(0, answer)).toString('utf8')
    return Math.min(answer, bytes.length)
  }

  pause(ms: number): void {
    this.pausedMs += ms
  }

  /** The system has done what it was given. */
  run(): void {
    for (let next = this.pending.shift(); next !== undefined; next = this.pending.shift()) next()
  }
}

test('lines wait for a flush or a full batch, and leave in order, in pieces too', () => {
  const files = new FakeFiles()
  const output = new LogOutput(1, files)
  output.write('one\n')
  assert.equal(files.pending.length, 0)
  output.flush()
  output.write('two é\n')
  output.flush()
  assert.equal(files.pending.length, 1)
  files.answers = [2, 1, 1]
  files.run()
  assert.equal(files.text, 'one\ntwo é\n')
  output.write(`${'x'.repeat(BATCH_OCTETS)}\n`)
  assert.equal(files.pending.length, 1)
})

test('a reader that does not read costs a bounded number of octets', () => {
  const files = new FakeFiles()
  const output = new LogOutput(1, files)
  const line = `${'x'.repeat(BATCH_OCTETS - 1)}\n`
  for (let octets = 0; octets < 2 * QUEUED_OCTETS_MAX; octets += line.length) output.write(line)
  files.run()
  assert.ok(files.text.length <= QUEUED_OCTETS_MAX + line.length)
})

test('a reader that has gone away ends the log and nothing else', () => {
  for (const flush of ['flush', 'flushNow'] as const) {
    const files = new FakeFiles()
    files.answers = ['EPIPE']
    const output = new LogOutput(1, files)
    output.write('one\n')
    output[flush]()
    files.run()
    assert.ok(output.gone)
    output.write('two\n')
    output.flushNow()
    assert.equal(files.text, '')
  }
})

test('at the end a full reader is tried again, and given up when it stays full', () => {
  const files = new FakeFiles()
  files.answers = ['EAGAIN', 2]
  const output = new LogOutput(1, files)
  output.write('one\n')
  output.flushNow()
  assert.equal(files.text, 'one\n')
  files.answers = Array.from({ length: 1_000 }, () => 'EAGAIN')
  output.write('two\n')
  output.flushNow()
  assert.ok(files.answers.length > 0)
  assert.ok(files.pausedMs <= 1_100)
})

test('a process whose log nobody reads any more still ends', async () => {
  const module = fileURLToPath(new URL('log-output.ts', import.meta.url))
  const program = `
    const { LogOutput } = await import(${JSON.stringify(module)})
    const output = new LogOutput(1)
    process.once('message', () => {
      output.write('to nobody\\n')
      output.flushNow()
      process.exit(7)
    })
    process.send('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  await once(child, 'message')
  child.stdout?.destroy()
  if (child.stdout?.closed === false) await once(child.stdout, 'close')
  child.send('go')
  const [status] = await once(child, 'exit')
  assert.equal(status, 7)
})

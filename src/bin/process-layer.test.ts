// The small parts of the process layer: arguments, signals, the demonstration, tables, the summary.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Command, CommandProblem, numberOption, readArguments } from '#bin/command.ts'
import { keepConfig, loadAgain, loadFile } from '#bin/config-source.ts'
import { type Demonstration, demonstration } from '#bin/demonstration.ts'
import { SAME_SIGNAL_MS, StopSignals } from '#bin/stop-signals.ts'
import { pickColumns, tableText } from '#bin/table.ts'
import { welcomeText } from '#bin/welcome.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'carillon-bin-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const command: Command = {
  summary: '',
  usage: '[--limit N] FILE',
  options: { limit: { type: 'string' } },
  words: [1, 1],
  run: async () => 0,
}

test('arguments that a command does not have are refused with its usage', () => {
  for (const argv of [['--other', 'a'], [], ['a', 'b'], ['--limit']]) {
    assert.throws(
      () => readArguments(command, 'cmd', argv),
      (error) => error instanceof CommandProblem && error.status === 2 && error.message.includes('usage: carillon cmd'),
    )
  }
  assert.equal(readArguments(command, 'cmd', ['--help']).options['help'], true)
})

test('a number out of bounds is refused with the bounds', () => {
  const limit = (text: string): number =>
    numberOption(readArguments(command, 'cmd', ['a', '--limit', text]), 'limit', 1, 1, 9)
  assert.equal(limit('9'), 9)
  for (const text of ['0', '10', '1.5', 'x', '']) assert.throws(() => limit(text), /from 1 to 9/)
})

test('SIGTERM drains, SIGHUP reloads, SIGINT drains and the second time stops', () => {
  const told: string[] = []
  const signals = new StopSignals({
    onDrain: () => told.push('drain'),
    onStop: () => told.push('stop'),
    onReload: () => told.push('reload'),
  })
  signals.receive('SIGHUP', 0)
  signals.receive('SIGTERM', 1)
  signals.receive('SIGINT', 10)
  signals.receive('SIGINT', 10 + SAME_SIGNAL_MS / 2)
  assert.deepEqual(told, ['reload', 'drain', 'drain'])
  signals.receive('SIGINT', 1_000)
  assert.deepEqual(told, ['reload', 'drain', 'drain', 'stop'])
})

test('the demonstration is a valid configuration, private, with the same passwords at each start', async (t) => {
  const path = folder(t)
  const first = await demonstration(path)
  assert.equal(statSync(first.file).mode & 0o777, 0o600)
  const loaded = loadFile(first.file)
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.join('\n'))
  assert.deepEqual(
    loaded.loaded.config.subscribers.map((subscriber) => subscriber.number),
    ['+12025550101', '+12025550102'],
  )
  const [one, two] = first.subscribers
  assert.notEqual(one?.password, two?.password)
  assert.deepEqual((await demonstration(path)).subscribers, first.subscribers)
  const other = await demonstration(folder(t))
  assert.notEqual(other.subscribers[0]?.password, one?.password)
})

test('a configuration that cannot be read or is wrong gives file, line and column', (t) => {
  const path = join(folder(t), 'a.yaml')
  assert.match(String(problems(path)), /a\.yaml: cannot be read: ENOENT.*\[CONFIG_UNREADABLE\]/)
  writeFileSync(path, 'domain: example.net\nsipp: 1\n')
  assert.match(String(problems(path)), /a\.yaml:2:1: .*sip/)
})

function problems(path: string): readonly string[] {
  const result = loadFile(path)
  return result.ok ? [] : result.problems
}

test('the same text is the same version, another text another', (t) => {
  const path = join(folder(t), 'a.yaml')
  const version = (text: string): string => {
    writeFileSync(path, text)
    const result = loadFile(path)
    assert.ok(result.ok)
    return result.loaded.snapshot.version
  }
  const first = version('domain: example.net\n')
  assert.equal(version('domain: example.net\n'), first)
  assert.notEqual(version('domain: example.org\n'), first)
})

test('a restart takes the kept configuration when the file is unchanged or broken, and the file when it is good', (t) => {
  const path = join(folder(t), 'a.yaml')
  const kept = `${path}.kept`
  const text = 'domain: example.net\nsubscribers:\n  - {user: "a", password: "only for this test"}\n'
  writeFileSync(path, text)
  const first = loadFile(path)
  assert.ok(first.ok)
  keepConfig(kept, first.loaded)
  assert.ok(!readFileSync(kept, 'utf8').includes('only for this test'))
  const again = (): { domain: string; problems: number } | null => {
    const result = loadAgain(path, kept)
    return result.ok ? { domain: result.loaded.config.domain, problems: result.problems.length } : null
  }
  const same = loadAgain(path, kept)
  assert.ok(same.ok)
  assert.deepEqual(same.loaded.config, first.loaded.config)
  writeFileSync(path, 'domain: [')
  assert.equal(again()?.domain, 'example.net')
  assert.ok((again()?.problems ?? 0) > 0)
  writeFileSync(path, 'domain: example.org\n')
  assert.deepEqual(again(), { domain: 'example.org', problems: 0 })
  writeFileSync(kept, '{')
  writeFileSync(path, 'domain: [')
  assert.equal(again(), null)
})

test('a table aligns its columns, shows instants as dates, and lets no control character through', () => {
  const rows = pickColumns(
    [
      { a: 'x\u001b[2J', b: null, invitedAt: 0 },
      { a: 'longer', b: undefined, invitedAt: 1_000, c: 1 },
    ],
    ['a', 'b', 'invitedAt'],
  )
  assert.equal(
    tableText(rows, 'none'),
    'a       invitedAt\nx?[2J   1970-01-01T00:00:00.000Z\nlonger  1970-01-01T00:00:01.000Z\n',
  )
  assert.equal(tableText([], 'none'), 'none\n')
})

test('the summary names addresses, the link, the accounts, and frames every line alike', () => {
  const shown: Demonstration = {
    file: 'data/demonstration.yaml',
    domain: '192.0.2.1',
    sipPort: 5070,
    subscribers: [
      { user: '1001', password: 'pw-one', number: '+12025550101', name: 'Alice' },
      { user: '1002', password: 'pw-two', number: '+12025550102', name: 'Bob' },
    ],
  }
  const facts = {
    listening: ['udp:127.0.0.1:5070', 'tcp:127.0.0.1:5070'],
    domain: '192.0.2.1',
    signInUrl: 'http://127.0.0.1:8080/sign-in?code=x',
    configFile: 'data/demonstration.yaml',
    dataFolder: 'data',
    demonstration: shown,
  }
  const text = welcomeText(facts, false)
  for (const part of ['udp 127.0.0.1:5070', facts.signInUrl, 'pw-one', 'pw-two', '192.0.2.1:5070', 'dial 1002']) {
    assert.ok(text.includes(part), part)
  }
  const widths = new Set(
    text
      .trim()
      .split('\n')
      .map((line) => line.length),
  )
  assert.equal(widths.size, 1)
  assert.ok(!welcomeText({ ...facts, demonstration: null }, false).includes('password'))
})

test('every command file has at most 80 lines', () => {
  for (const name of [
    'start',
    'switch',
    'status',
    'calls',
    'registrations',
    'cdrs',
    'route',
    'apply',
    'reload',
    'drain',
    'sign-in',
    'version',
  ]) {
    const lines = readFileSync(new URL(`${name}.ts`, import.meta.url), 'utf8').split('\n').length
    assert.ok(lines <= 81, `${name}.ts has ${lines} lines`)
  }
})

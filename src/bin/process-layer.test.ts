// The small parts of the process layer: arguments, signals, the demonstration, tables, the summary.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Command, CommandProblem, numberOption, readArguments } from '#bin/command.ts'
import { configOption, keepConfig, loadAgain, loadFile } from '#bin/config-source.ts'
import { type Demonstration, demonstration, demonstrationFile } from '#bin/demonstration.ts'
import { statusText } from '#bin/status.ts'
import { SAME_SIGNAL_MS, StopSignals } from '#bin/stop-signals.ts'
import { pickColumns, tableText, withParties } from '#bin/table.ts'
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

test('a party is shown by its number, or by its URI where it has none', () => {
  const call = { callerNumber: null, caller: 'sip:alice@example.net', calledNumber: '+442079460000', callee: 'sip:x' }
  assert.deepEqual(pickColumns([withParties(call)], ['caller', 'called']), [
    { caller: 'sip:alice@example.net', called: '+442079460000' },
  ])
})

test('the status says that it drains, that it is down and why, and since when it is up', () => {
  const status = {
    up: true,
    reason: '',
    version: '0.1.0',
    domain: 'example.net',
    listening: ['udp:192.0.2.1:5060'],
    calls: 1,
    registrations: 2,
    draining: false,
    configVersion: 'abc',
    gateways: [],
    gatewayRestarts: 0,
    uptimeMs: 8_220_000,
    restarts: 0,
  }
  assert.match(statusText(status), /^state +up\n/)
  assert.match(statusText(status), /^up for +2 h 17 min$/m)
  assert.match(statusText({ ...status, uptimeMs: 42_999 }), /^up for +42 s$/m)
  assert.match(
    statusText({ ...status, up: false, reason: 'draining: calls go on', draining: true }),
    /^state +draining: /,
  )
  assert.match(statusText({ ...status, up: false, reason: 'starting' }), /^state +down: starting\n/)
})

test('commands that need a configuration find the demonstration, and say what to do when there is none', async (t) => {
  const data = folder(t)
  const home = process.cwd()
  process.chdir(data) // The clone may have a carillon.yaml of its user's.
  t.after(() => process.chdir(home))
  const args = (options: Record<string, string>) => ({ options: { data, ...options }, words: [] })
  assert.throws(() => configOption(args({})), /there is no carillon\.yaml; name the configuration with --config FILE/)
  await demonstration(data)
  assert.equal(configOption(args({})), demonstrationFile(data))
  assert.throws(() => configOption(args({ config: join(data, 'other.yaml') })), /there is no .*other\.yaml/)
})

test('what stands in a broken file cannot drive the terminal that its problems are printed on', (t) => {
  const path = join(folder(t), 'carillon.yaml')
  writeFileSync(path, 'domain: "\\e[2J\\u0007"\n')
  const result = loadFile(path)
  assert.ok(!result.ok)
  assert.ok(result.problems.length > 0)
  for (const problem of result.problems) assert.doesNotMatch(problem, /[\u0000-\u001f\u007f-\u009f]/)
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
    services: [{ number: '600', service: 'echo' }],
  }
  const text = welcomeText(facts, false)
  for (const part of [
    'udp 127.0.0.1:5070',
    facts.signInUrl,
    'pw-one',
    'pw-two',
    '192.0.2.1:5070',
    'dial 1002',
    '600   echo test',
  ]) {
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
    'gateway',
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

// The system as processes: it starts, survives the death of its switch, reloads, drains and stops, and says so.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const CARILLON = fileURLToPath(new URL('../../src/bin/carillon.ts', import.meta.url))
const POLL_MS = 25
/** How long any one event may take before the test says that it never came. */
const PATIENCE_MS = 30_000

const CONFIG = `domain: example.net
sip:
  listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]
manager:
  listen: 127.0.0.1:0
subscribers:
  - {user: "1001", password: "only for this test", number: "+12025550101", name: "Alice"}
`

/** Waits until `find` gives something. */
async function eventually<T>(
  what: string,
  find: () => T | null | undefined | Promise<T | null | undefined>,
): Promise<T> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    const found = await find()
    if (found !== null && found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`${what} never came`)
}

class System {
  readonly folder: string
  readonly data: string
  readonly config: string
  readonly child: ChildProcess
  output = ''
  errors = ''

  constructor(t: TestContext, command: string, config: string | null = CONFIG) {
    this.folder = mkdtempSync(join(tmpdir(), 'carillon-process-'))
    this.data = join(this.folder, 'data')
    this.config = join(this.folder, 'test.yaml')
    if (config !== null) writeFileSync(this.config, config)
    const args = [CARILLON, command, '--data', this.data, ...(config === null ? [] : ['--config', this.config])]
    this.child = spawn(process.execPath, args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.output += bytes.toString('utf8')
    })
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.errors += bytes.toString('utf8')
    })
    t.after(async () => {
      if (this.child.exitCode === null && this.child.signalCode === null) {
        this.child.kill('SIGKILL')
        await once(this.child, 'exit')
      }
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /** The first log line with this code, at or after the `skip`-th. */
  logged(code: string, skip = 0): Promise<Record<string, unknown>> {
    return eventually(`${code} (${this.errors})`, () => {
      if (this.child.exitCode !== null && code !== 'SYSTEM_STOPPED')
        throw new Error(`ended early: ${this.errors}${this.output}`)
      const lines = this.output.split('\n').filter((line) => line.startsWith('{') && line.includes(`"${code}"`))
      const line = lines[skip]
      return line === undefined ? null : (JSON.parse(line) as Record<string, unknown>)
    })
  }

  get url(): string {
    return readFileSync(join(this.data, 'manager.url'), 'utf8').trim()
  }

  async health(): Promise<number> {
    return (await fetch(`${this.url}/healthz`)).status
  }

  /** The process number of the switch: beside it the supervisor has the embedded media gateway. */
  switchPid(): number | null {
    const children = readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8')
    for (const pid of children.trim().split(' ')) {
      if (pid === '') continue
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
      if (words.includes('switch')) return Number(pid)
    }
    return null
  }

  /** Runs a command of the command line against this system. */
  command(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(process.execPath, [CARILLON, ...args, '--data', this.data], { encoding: 'utf8', cwd: this.folder })
  }

  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit')
    return this.child.exitCode
  }
}

/** Whether the process is there and not merely waiting to be collected by its parent. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

const linux = { skip: process.platform === 'linux' ? false : 'reads /proc' }

test('the system starts, says that it is up, and answers the command line', async (t) => {
  const system = new System(t, 'start')
  const ready = await system.logged('SYSTEM_READY')
  assert.match(String(ready['listening']), /udp:127\.0\.0\.1:\d+/)
  assert.equal(await system.health(), 200)
  assert.equal(statSync(join(system.data, 'admin.token')).mode & 0o777, 0o600)
  assert.ok(!system.output.includes('sign-in?code'), 'a sign-in link in the log of a real system')
  const status = system.command('status', '--json')
  assert.equal(status.status, 0, status.stderr)
  assert.equal(JSON.parse(status.stdout).up, true)
  assert.deepEqual(JSON.parse(system.command('registrations', '--json').stdout), { items: [] })
  assert.deepEqual(JSON.parse(system.command('calls', '--json').stdout), { items: [] })
  assert.deepEqual(JSON.parse(system.command('cdrs', '--json').stdout), { items: [] })
  const metrics = await (await fetch(`${system.url}/metrics`)).text()
  assert.match(metrics, /^carillon_up 1$/m)
  assert.match(system.command('sign-in').stdout, /^http:\/\/127\.0\.0\.1:\d+\/sign-in\?code=/)
})

test('a switch killed with -9 is back, on the same data', linux, async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  const pid = await eventually('the switch', () => system.switchPid())
  const killedMs = performance.now()
  process.kill(pid, 'SIGKILL')
  await system.logged('SWITCH_DIED')
  await system.logged('SWITCH_BACK')
  t.diagnostic(`back after ${Math.round(performance.now() - killedMs)} ms`)
  assert.notEqual(system.switchPid(), pid)
  await eventually('health', async () => ((await system.health()) === 200 ? true : null))
})

test('a broken file changes nothing, and a good one is taken whole', async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  const before = JSON.parse(system.command('status', '--json').stdout).configVersion
  writeFileSync(system.config, `${CONFIG}sipp: 1\n`)
  system.child.kill('SIGHUP')
  await system.logged('CONFIG_REFUSED')
  await eventually('the problem', () => (/test\.yaml:\d+:1: .*sipp/.test(system.errors) ? true : null))
  const refused = system.command('reload')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /test\.yaml:\d+:1/)
  assert.equal(JSON.parse(system.command('status', '--json').stdout).configVersion, before)
  writeFileSync(system.config, CONFIG.replace('Alice', 'Alison'))
  const taken = system.command('reload', '--json')
  assert.equal(taken.status, 0, taken.stderr)
  assert.notEqual(JSON.parse(taken.stdout).configVersion, before)
})

test('a switch that dies while the file is broken comes back with the last good one', linux, async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  writeFileSync(system.config, 'domain: [\n')
  const pid = await eventually('the switch', () => system.switchPid())
  process.kill(pid, 'SIGKILL')
  await system.logged('CONFIG_LAST_GOOD_USED')
  await system.logged('SWITCH_BACK')
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} drains and ends in order`, async (t) => {
    const system = new System(t, 'start')
    await system.logged('SYSTEM_READY')
    system.child.kill(signal)
    assert.equal(await system.ended(), 0)
    await system.logged('SYSTEM_STOPPED')
  })
}

test('carillon drain stops a system without calls', async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  const drained = system.command('drain')
  assert.equal(drained.status, 0, drained.stderr)
  assert.equal(await system.ended(), 0)
})

test('a supervisor killed with -9 takes its switch along', linux, async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  const pid = await eventually('the switch', () => system.switchPid())
  system.child.kill('SIGKILL')
  await eventually('the end of the switch', () => (isRunning(pid) ? null : true))
})

test('a second system on the same data folder is refused', linux, async (t) => {
  const system = new System(t, 'start')
  await system.logged('SYSTEM_READY')
  for (const name of ['start', 'switch']) {
    const second = system.command(name, '--config', system.config)
    assert.equal(second.status, 1)
    assert.match(second.stderr, /data folder/)
  }
})

test('a switch runs alone, and ends on SIGTERM', async (t) => {
  const system = new System(t, 'switch')
  await system.logged('SWITCH_READY')
  system.child.kill('SIGTERM')
  assert.equal(await system.ended(), 0)
})

test('a first start that cannot succeed says why and gives up', async (t) => {
  const wrong = new System(
    t,
    'start',
    'domain: example.net\nsip:\n  listen: ["udp:192.0.2.254:5060"]\nmanager:\n  listen: 127.0.0.1:0\n',
  )
  assert.equal(await wrong.ended(), 1)
  assert.match(wrong.errors, /192\.0\.2\.254/)
  const broken = new System(t, 'start', 'domain: example.net\nfoo: 1\n')
  assert.equal(await broken.ended(), 1)
  assert.match(broken.errors, /test\.yaml:2:1: /)
})

test('without a configuration file there is a demonstration, with the same passwords at each start', async (t) => {
  const system = new System(t, 'start', null)
  await system.logged('SYSTEM_READY')
  const first = await system.logged('DEMONSTRATION_SUBSCRIBER')
  const second = await system.logged('DEMONSTRATION_SUBSCRIBER', 1)
  assert.deepEqual([first['user'], second['user']], ['1001', '1002'])
  assert.notEqual(first['password'], second['password'])
  const file = join(system.data, 'demonstration.yaml')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.ok(readFileSync(file, 'utf8').includes(String(first['password'])))
  const link = String((await system.logged('SYSTEM_READY'))['signIn'])
  const signedIn = await fetch(link)
  assert.equal(signedIn.status, 200)
  assert.match(String(signedIn.headers.get('set-cookie')), /HttpOnly/)
  assert.equal((await fetch(link)).status, 401)
})

// The source tree keeps its own rules: who may import whom, where effects live, what a file may hold.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createVirtualFileSystem } from 'typescript/unstable/fs'
import {
  type Direction,
  documentedCodes,
  FILE_LINES_REPORTED,
  FUNCTION_LINES_REPORTED,
  factsOf,
  importMaps,
  isTest,
  longFunctions,
  type Problem,
  parseProject,
  sourceFolder,
  tidyFile,
  tidyText,
  unusedFiles,
} from '#tools/tidy.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const FILE_OCTETS_MAX = 1_000_000

const PROTOCOLS = ['sip', 'sdp', 'rtp', 'stun', 'ng']
const DOMAIN = ['schema', 'routing', 'media', 'call']
/** core ← protocols, schema ← routing, media ← call ← applications; only bin joins host with applications, only sim the simulation. */
const DIRECTION: Direction = {
  core: [],
  // RFC 5626 §3.5.2: STUN keep-alives share the socket of SIP.
  sip: ['core', 'stun'],
  sdp: ['core'],
  rtp: ['core'],
  stun: ['core'],
  ng: ['core'],
  schema: ['core'],
  routing: ['core', ...PROTOCOLS, 'schema'],
  media: ['core', ...PROTOCOLS, 'schema'],
  call: ['core', ...PROTOCOLS, 'schema', 'routing', 'media'],
  access: ['core', ...PROTOCOLS, 'schema', 'routing', 'media'],
  border: ['core', ...PROTOCOLS, 'schema', 'routing', 'media'],
  gateway: ['core', ...PROTOCOLS, 'schema', 'media'],
  manager: ['core', ...PROTOCOLS, 'schema', 'routing'],
  open: ['core', ...PROTOCOLS, ...DOMAIN],
  switch: ['core', ...PROTOCOLS, ...DOMAIN, 'access', 'border'],
  host: ['core'],
  sim: ['core', ...PROTOCOLS, ...DOMAIN, 'access', 'border', 'gateway', 'manager', 'open', 'switch'],
  bin: ['core', ...PROTOCOLS, ...DOMAIN, 'access', 'border', 'gateway', 'manager', 'open', 'switch', 'host', 'sim'],
}

const files = parseProject(ROOT, join(ROOT, 'tsconfig.json'))
const facts = files.map((file) => factsOf(file, importMaps(ROOT)))

function lines(problems: readonly Problem[]): string {
  return problems.map((problem) => `  ${problem.file}:${problem.line} [${problem.rule}] ${problem.message}`).join('\n')
}

/** Every file that belongs to the project: git's list, or a walk where there is no git (an unpacked archive). */
function projectFiles(): string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return listed.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)))
  } catch {
    const skipped = /^(node_modules|data|coverage|tmp|\.git)(\/|$)/
    return readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
      (path) => !skipped.test(path) && statSync(join(ROOT, path)).isFile(),
    )
  }
}

test('every source file keeps the direction of imports, effects behind ports, and no module state', () => {
  assert.ok(files.length > 0, 'no source files found')
  const problems = files.flatMap((file) => tidyFile(file, DIRECTION))
  assert.equal(problems.length, 0, `\n${lines(problems)}`)
})

test('every source file is used by another', () => {
  assert.deepEqual(unusedFiles(facts), [])
})

test('no file of the project is over 1 MB, holds a path of one machine or a secret', () => {
  const problems: Problem[] = []
  for (const path of projectFiles()) {
    const octets = statSync(join(ROOT, path)).size
    if (octets > FILE_OCTETS_MAX)
      problems.push({ file: path, line: 1, rule: 'large-file', message: `${octets} octets` })
    else problems.push(...tidyText(path, readFileSync(join(ROOT, path), 'latin1')))
  }
  assert.equal(problems.length, 0, `\n${lines(problems)}`)
})

/** Not tests, their rigs (_fake-ports.ts, _test-ports.ts), or the simulation. */
function isProductFile(path: string): boolean {
  return path.startsWith('src/') && !isTest(path) && !/\/_(fake|test)-/.test(path) && sourceFolder(path) !== 'sim'
}

test('docs/errors.md lists exactly the stable codes that the sources use', () => {
  const used = new Map<string, string>()
  for (const file of facts) {
    if (isProductFile(file.path)) {
      for (const code of file.codes) used.set(code, file.path)
    }
  }
  const listed = documentedCodes(readFileSync(join(ROOT, 'docs/errors.md'), 'utf8'))
  const twice = listed.filter((code, at) => listed.indexOf(code) !== at)
  const missing = [...used].filter(([code]) => !listed.includes(code)).map(([code, path]) => `${code} (${path})`)
  assert.deepEqual({ missing: missing.sort(), twice }, { missing: [], twice: [] })
  const text = files.map((file) => (file.path.startsWith('src/') ? file.text : '')).join('\n')
  const stale = listed.filter((code) => !text.includes(code))
  assert.deepEqual(stale, [], 'listed, but no source file names them')
})

test('package-lock.json has an entry for the optional packages of every platform', () => {
  const lock: { packages: Record<string, { optionalDependencies?: Record<string, string> }> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  )
  const missing = Object.values(lock.packages)
    .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
    .filter((name) => lock.packages[`node_modules/${name}`] === undefined)
  assert.deepEqual(missing, [], 'npm ci refuses such a lock file')
})

test('long files and functions are reported, never failed', (t) => {
  for (const file of files) {
    const count = file.text.split('\n').length
    if (count > FILE_LINES_REPORTED && !isTest(file.path)) t.diagnostic(`long file: ${file.path} (${count} lines)`)
    for (const line of longFunctions(file, FUNCTION_LINES_REPORTED)) t.diagnostic(`long function: ${line}`)
  }
})

/** The rules that `text` breaks when it stands at `path`. */
function rulesBroken(path: string, text: string): string[] {
  const fs = createVirtualFileSystem({
    '/t/tsconfig.json': '{"compilerOptions":{"noLib":true,"types":[],"noResolve":true},"include":["**/*.ts"]}',
    [`/t/${path}`]: text,
  })
  const parsed = parseProject('/t', '/t/tsconfig.json', { cwd: '/t', fs })
  assert.equal(parsed.length, 1)
  return parsed.flatMap((file) => tidyFile(file, DIRECTION)).map((problem) => `${problem.rule}:${problem.line}`)
}

const SAMPLES: readonly { name: string; path: string; text: string; broken: readonly string[] }[] = [
  {
    name: 'an application imports another',
    path: 'src/access/a.ts',
    text: "import { X } from '#border/x.ts'",
    broken: ['direction:2'],
  },
  {
    name: 'a type import counts',
    path: 'src/core/a.ts',
    text: "import type { X } from '#sip/x.ts'",
    broken: ['direction:2'],
  },
  {
    name: 'an export from counts',
    path: 'src/sip/a.ts',
    text: "export { X } from '#sdp/x.ts'",
    broken: ['direction:2'],
  },
  {
    name: 'an import type counts',
    path: 'src/sip/a.ts',
    text: "export type X = import('#call/x.ts').X",
    broken: ['direction:2'],
  },
  {
    name: 'host imports no application',
    path: 'src/host/a.ts',
    text: "import { X } from '#switch/x.ts'",
    broken: ['direction:2'],
  },
  {
    name: 'access imports no call',
    path: 'src/access/a.ts',
    text: "import { X } from '#call/x.ts'",
    broken: ['direction:2'],
  },
  { name: 'the allowed direction', path: 'src/call/a.ts', text: "import { X } from '#routing/x.ts'", broken: [] },
  {
    name: 'bin joins all',
    path: 'src/bin/a.ts',
    text: "import { X } from '#host/x.ts'\nimport { Y } from '#switch/y.ts'",
    broken: [],
  },
  { name: 'an unknown folder', path: 'src/util/a.ts', text: 'export const a = 1', broken: ['direction:1'] },
  { name: 'Date.now', path: 'src/sip/a.ts', text: 'export const a = () => Date.now()', broken: ['ambient:2'] },
  { name: 'new Date()', path: 'src/sip/a.ts', text: 'export const a = () => new Date()', broken: ['ambient:2'] },
  {
    name: 'new Date(ms) is pure',
    path: 'src/sip/a.ts',
    text: 'export const a = (ms: number) => new Date(ms)',
    broken: [],
  },
  { name: 'performance.now', path: 'src/sip/a.ts', text: 'export const a = performance.now()', broken: ['ambient:2'] },
  { name: 'Math.random', path: 'src/sip/a.ts', text: 'export const a = Math.random()', broken: ['ambient:2'] },
  { name: 'Math.floor is pure', path: 'src/sip/a.ts', text: 'export const a = Math.floor(1.5)', broken: [] },
  {
    name: 'setTimeout as a value',
    path: 'src/sip/a.ts',
    text: 'export const a = { later: setTimeout }',
    broken: ['ambient:2'],
  },
  { name: 'queueMicrotask', path: 'src/sip/a.ts', text: 'queueMicrotask(() => {})', broken: ['ambient:2'] },
  { name: 'process.env', path: 'src/sip/a.ts', text: 'export const a = process.env.HOME', broken: ['ambient:2'] },
  { name: 'process in shorthand', path: 'src/sip/a.ts', text: 'export const a = { process }', broken: ['ambient:2'] },
  {
    name: 'a member named process',
    path: 'src/sip/a.ts',
    text: 'export const a = (b: { process: number }) => b.process',
    broken: [],
  },
  { name: 'effects through globalThis', path: 'src/sip/a.ts', text: 'globalThis.fetch', broken: ['ambient:2'] },
  {
    name: 'node:dgram',
    path: 'src/sip/a.ts',
    text: "import { createSocket } from 'node:dgram'",
    broken: ['ambient:2'],
  },
  {
    name: 'node:fs by dynamic import',
    path: 'src/sip/a.ts',
    text: "export const a = import('node:fs')",
    broken: ['ambient:2'],
  },
  {
    name: 'randomBytes',
    path: 'src/sip/a.ts',
    text: "import { createHash, randomBytes } from 'node:crypto'",
    broken: ['ambient:2'],
  },
  {
    name: 'hashing is pure',
    path: 'src/sip/a.ts',
    text: "import { createHash, timingSafeEqual } from 'node:crypto'",
    broken: [],
  },
  {
    name: 'a library with effects',
    path: 'src/switch/a.ts',
    text: "import { pino } from 'pino'",
    broken: ['ambient:2'],
  },
  { name: 'yaml is pure', path: 'src/schema/a.ts', text: "import { parse } from 'yaml'", broken: [] },
  {
    name: 'host has effects',
    path: 'src/host/a.ts',
    text: "import { createSocket } from 'node:dgram'\nexport const a = Date.now()",
    broken: [],
  },
  {
    name: 'comments and strings are no code',
    path: 'src/sip/a.ts',
    text: "/* Date.now() */ export const a = 'Date.now()' // process.env",
    broken: [],
  },
  {
    name: 'templates are code',
    path: 'src/sip/a.ts',
    text: `export const a = \`Date.now() \${Date.now()}\``,
    broken: ['ambient:2'],
  },
  {
    name: 'regular expressions are no code',
    path: 'src/sip/a.ts',
    text: 'export const a = /process.env`"/',
    broken: [],
  },
  {
    name: 'let at module level',
    path: 'src/host/a.ts',
    text: 'let count = 0\nexport const next = () => count++',
    broken: ['module-state:2'],
  },
  { name: 'var at module level', path: 'tools/a.ts', text: 'export var count = 0', broken: ['module-state:2'] },
  { name: 'let in a program of the bench', path: 'bench/a.ts', text: 'let count = 0\ncount++', broken: [] },
  { name: 'let in a program of src', path: 'src/bin/a.ts', text: 'let count = 0\ncount++', broken: ['module-state:2'] },
  {
    name: 'an empty Map at module level',
    path: 'src/sip/a.ts',
    text: 'export const cache = new Map<string, string>()',
    broken: ['module-state:2'],
  },
  { name: 'a filled Set is a table', path: 'src/sip/a.ts', text: "export const table = new Set(['a'])", broken: [] },
  {
    name: 'let in a function',
    path: 'src/sip/a.ts',
    text: 'export function a() { let b = 1; b++; return b }',
    broken: [],
  },
  { name: 'a default export', path: 'src/sip/a.ts', text: 'export default class A {}', broken: ['default-export:2'] },
  {
    name: 'a default expression',
    path: 'src/sip/a.ts',
    text: 'const a = 1\nexport default a',
    broken: ['default-export:3'],
  },
  { name: 'a barrel', path: 'src/sip/index.ts', text: 'export const a = 1', broken: ['barrel:1'] },
  { name: 'export star', path: 'src/sip/a.ts', text: "export * from '#sip/b.ts'", broken: ['barrel:2'] },
  {
    name: 'a relative import',
    path: 'src/sip/a.ts',
    text: "import { b } from './b.ts'",
    broken: ['relative-import:2'],
  },
  {
    name: 'a parent import in tests',
    path: 'test/interop/a.test.ts',
    text: "import { b } from '../b.ts'",
    broken: ['relative-import:2'],
  },
  {
    name: 'a real sleep in a test',
    path: 'src/sip/a.test.ts',
    text: 'await new Promise((resolve) => setTimeout(resolve, 10))',
    broken: ['real-sleep:2'],
  },
  {
    name: 'timers/promises in a test',
    path: 'src/sip/a.test.ts',
    text: "import { setTimeout as sleep } from 'node:timers/promises'",
    broken: ['real-sleep:2'],
  },
  { name: 'a wait in a test of host', path: 'src/host/a.test.ts', text: 'setTimeout(() => {}, 10)', broken: [] },
]

for (const { name, path, text, broken } of SAMPLES) {
  test(`tidy sees: ${name}`, () => {
    assert.deepEqual(rulesBroken(path, `// A sample.\n${text}\n`), broken)
  })
}

test('tidy sees a file without its first comment', () => {
  assert.deepEqual(rulesBroken('src/sip/a.ts', 'export const a = 1\n'), ['first-comment:1'])
})

test('tidy sees a file that only its own test imports', () => {
  const tree = [
    { path: 'src/sip/a.ts', imports: ['src/sip/b.ts'], codes: [] },
    { path: 'src/sip/b.ts', imports: [], codes: [] },
    { path: 'src/sip/a.test.ts', imports: ['src/sip/a.ts'], codes: [] },
    { path: 'src/bin/c.ts', imports: [], codes: [] },
  ]
  assert.deepEqual(unusedFiles(tree), ['src/sip/a.ts'])
})

test('tidy sees machine paths and secrets in any text', () => {
  const home = ['', 'home', 'alice', 'x'].join('/')
  const key = `${['-----BEGIN', 'PRIVATE KEY-----'].join(' ')}\nMIIEvQIBADANBgkqhkiG9w0BAQ`
  assert.deepEqual(
    tidyText('a.md', `see ${home}\n${key}\n`).map((problem) => `${problem.rule}:${problem.line}`),
    ['machine-path:1', 'secret:2'],
  )
  assert.deepEqual(tidyText('a.md', 'https://example.net/home/page and ~/work/x'), [])
})

test('tidy finds every stable code, and takes no other word for one', () => {
  const fs = createVirtualFileSystem({
    '/t/tsconfig.json': '{"compilerOptions":{"noLib":true,"types":[]},"include":["**/*.ts"]}',
    '/t/src/sip/a.ts': `// NOT_THIS
log.event('warn', 'SIP_A', {})
export const r = { status: 400, code: b ? 'SIP_B' : 'SIP_C' }
export type RouteCode = 'SIP_D' | 'SIP_E'
const words = ['ENOSPC', 'INVITE', 'NO_COLOR', 'ERR_SOCKET', 'A_B and more', Node.NOT_THIS]`,
  })
  const parsed = parseProject('/t', '/t/tsconfig.json', { cwd: '/t', fs })
  const codes = parsed.flatMap((file) => factsOf(file, {}).codes)
  assert.deepEqual(codes.sort(), ['SIP_A', 'SIP_B', 'SIP_C', 'SIP_D', 'SIP_E'])
})

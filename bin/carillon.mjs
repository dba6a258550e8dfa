#!/usr/bin/env node
// `npx carillon …` on any Node ≥ 20: hands over to the project's own Node, installing what is missing first.

import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { setUp } from '../tools/setup.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

try {
  setUp(false)
} catch (error) {
  process.stderr.write(`carillon: ${error.message}\n`)
  process.exit(1)
}

const node = join(ROOT, 'node_modules/.bin/node')
const args = [join(ROOT, 'src/bin/carillon.ts'), ...process.argv.slice(2)]
// Becoming the other process keeps signals and exit status what they are; an older Node stays as a parent that passes them on.
if (typeof process.execve === 'function') process.execve(node, [node, ...args], process.env)
const child = spawn(node, args, { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
child.on('exit', (status, signal) => {
  if (signal === null) process.exit(status)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})

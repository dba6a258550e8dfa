#!/usr/bin/env node
// carillon: finds the sub-command, reads its arguments, runs it.

import { enableCompileCache, flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type Command, CommandProblem, MISUSED, readArguments } from '#bin/command.ts'

/** Compiled code of earlier runs halves the time until a restarted switch is back. Beside the packages: not writable is no harm. */
const COMPILE_CACHE = new URL('../../node_modules/.cache/carillon', import.meta.url)

const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  start: () => import('#bin/start.ts'),
  switch: () => import('#bin/switch.ts'),
  gateway: () => import('#bin/gateway.ts'),
  status: () => import('#bin/status.ts'),
  calls: () => import('#bin/calls.ts'),
  registrations: () => import('#bin/registrations.ts'),
  cdrs: () => import('#bin/cdrs.ts'),
  route: () => import('#bin/route.ts'),
  apply: () => import('#bin/apply.ts'),
  reload: () => import('#bin/reload.ts'),
  drain: () => import('#bin/drain.ts'),
  'sign-in': () => import('#bin/sign-in.ts'),
  version: () => import('#bin/version.ts'),
}

async function helpText(): Promise<string> {
  const lines: string[] = []
  for (const [name, load] of Object.entries(COMMANDS)) {
    lines.push(`  ${name.padEnd(14)} ${(await load()).command.summary}`)
  }
  return `carillon: an open carrier voice platform

usage: carillon COMMAND [options]

${lines.join('\n')}
  ${'help'.padEnd(14)} this text; carillon COMMAND --help says more
`
}

async function main(argv: readonly string[]): Promise<number> {
  const [first = 'help', ...rest] = argv
  const name = first === '--version' || first === '-v' ? 'version' : first
  if (name === 'help' || name === '--help' || name === '-h') {
    if (rest[0] === undefined) {
      process.stdout.write(await helpText())
      return 0
    }
    return main([rest[0], '--help'])
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load === undefined) throw new CommandProblem(`there is no command '${name}'; see carillon help`, MISUSED)
  const { command } = await load()
  const args = readArguments(command, name, rest)
  if (args.options['help'] === true) {
    process.stdout.write(`${command.summary}\n\nusage: carillon ${name} ${command.usage}\n`)
    return 0
  }
  return command.run(args)
}

// A reader that goes away (carillon cdrs | head) ends the command, quietly.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

enableCompileCache(fileURLToPath(COMPILE_CACHE))
try {
  process.exitCode = await main(process.argv.slice(2))
  flushCompileCache()
} catch (error) {
  if (!(error instanceof CommandProblem)) throw error
  process.stderr.write(`carillon: ${error.message}\n`)
  process.exitCode = error.status
}

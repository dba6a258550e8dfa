// Makes a clone ready to run: installs what is missing through npm, the project's own Node included. Plain JavaScript on purpose:
// it runs on whatever Node ≥ 20 the machine has, before anything is installed. When nothing is missing it says nothing.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const LOCK_POLL_MS = 200
const LOCK_WAIT_MAX_MS = 600_000
const NPM_MAJOR_MIN = 9

/**
 * What of `lock` (package-lock.json) is not installed as `installed` (node_modules/.package-lock.json) says. Packages for other
 * platforms are optional and may be absent; development packages count only when `development` is true.
 */
export function missingPackages(lock, installed, development, present = () => true) {
  const missing = []
  for (const [path, wanted] of Object.entries(lock.packages ?? {})) {
    if (path === '' || wanted.optional || (wanted.dev && !development)) continue
    const found = installed?.packages?.[path]
    if (found === undefined || found.version !== wanted.version || !present(path)) missing.push(path)
  }
  return missing
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** Why an installation is needed, or null when everything is in place. */
function reasonToInstall(development) {
  const lock = readJson(join(ROOT, 'package-lock.json'))
  if (lock === null) throw new Error('package-lock.json is missing or broken')
  const installed = readJson(join(ROOT, 'node_modules/.package-lock.json'))
  if (installed === null) return 'nothing is installed yet'
  const missing = missingPackages(lock, installed, development, (path) => existsSync(join(ROOT, path, 'package.json')))
  if (missing.length === 0) return null
  return `${missing[0]?.replace('node_modules/', '')}${missing.length > 1 ? ` and ${missing.length - 1} more` : ''}`
}

/** The version of Node that the project runs on, as package-lock.json pins it. */
function nodeWanted() {
  return `v${readJson(join(ROOT, 'package-lock.json'))?.packages?.['node_modules/node']?.version}`
}

/** What the project's own Node answers to --version, or null when it does not run. */
function nodeFound() {
  const path = join(ROOT, 'node_modules/.bin/node')
  if (!existsSync(path)) return null
  const run = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return run.status === 0 ? run.stdout.trim() : null
}

function say(text) {
  process.stderr.write(`carillon: ${text}\n`)
}

function npm(args, cwd = ROOT) {
  const script = process.env.npm_execpath
  const env = { ...process.env }
  // The script that called us belongs to this project; npm's own children must not take it for theirs.
  for (const name of Object.keys(env)) if (/^npm_(lifecycle|package)_/.test(name)) delete env[name]
  const [command, prefix] = script !== undefined && /\.c?js$/.test(script) ? [process.execPath, [script]] : ['npm', []]
  return spawnSync(command, [...prefix, ...args], { cwd, env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

function checkNpm() {
  const run = npm(['--version'])
  if (run.status !== 0)
    throw new Error('npm is needed to install what is missing, and it does not run; install npm ≥ 9')
  if (Number.parseInt(run.stdout, 10) < NPM_MAJOR_MIN)
    throw new Error(`npm ${run.stdout.trim()} is too old; npm ≥ 9 is needed`)
}

function install(reason) {
  checkNpm()
  const startedMs = Date.now()
  say(`installing what is missing with npm ci (${reason}) …`)
  const run = npm(['ci', '--no-audit', '--no-fund'])
  if (run.status !== 0) throw new Error(`npm ci failed:\n${run.stdout ?? ''}${run.stderr ?? run.error ?? ''}`)
  say(`installed in ${Math.round((Date.now() - startedMs) / 1000)} s`)
}

/** The `node` package fetches its binary in an install script; where npm is told to run none, the script is run here. */
function installNode(wanted) {
  checkNpm()
  say(`fetching Node ${wanted} through npm …`)
  const folder = join(ROOT, 'node_modules/node')
  const env = { ...process.env, npm_config_ignore_scripts: 'false', npm_config_dry_run: 'false' }
  const run = spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: folder, env, encoding: 'utf8' })
  const linked = npm(['rebuild', 'node', '--ignore-scripts'])
  const found = nodeFound()
  if (found === wanted) return
  const detail = [run.stdout, run.stderr, linked.stderr].filter(Boolean).join('\n')
  throw new Error(`Node ${wanted} could not be installed (found: ${found ?? 'none that runs'})\n${detail}`)
}

/** Whether a process of that number exists. */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Runs `action` while holding the lock file, so that two set-ups never write node_modules at once. */
function locked(action) {
  const path = join(ROOT, '.setup.lock')
  const giveUpMs = Date.now() + LOCK_WAIT_MAX_MS
  let told = false
  for (;;) {
    try {
      const file = openSync(path, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = Number(readText(path))
    if (owner > 0 && !isAlive(owner)) takeAway(path, owner)
    if (Date.now() > giveUpMs)
      throw new Error(`another set-up holds ${path} for too long; remove the file if none runs`)
    if (!told) say('waiting for another set-up to finish …')
    told = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS)
  }
  try {
    action()
  } finally {
    rmSync(path, { force: true })
  }
}

/**
 * Removes the lock of a set-up that died. Renaming first decides between several that see it at once; who finds that it
 * moved a living one's lock puts it back.
 */
function takeAway(path, owner) {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  if (Number(readText(aside)) === owner) rmSync(aside, { force: true })
  else renameSync(aside, path)
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/**
 * Installs what is missing; packages for development count only when `development` is true. Throws with a sentence for the
 * user when it cannot.
 */
export function setUp(development) {
  if (reasonToInstall(development) === null && nodeFound() === nodeWanted()) return
  locked(() => {
    const reason = reasonToInstall(development)
    if (reason !== null) install(reason)
    const wanted = nodeWanted()
    if (nodeFound() !== wanted) installNode(wanted)
  })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const omitted = /\bdev\b/.test(process.env.npm_config_omit ?? '') || process.env.NODE_ENV === 'production'
  try {
    setUp(!omitted && process.env.npm_lifecycle_event !== 'prestart')
  } catch (error) {
    say(error.message)
    process.exitCode = 1
  }
}

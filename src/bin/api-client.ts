// Asks a running system over its HTTP interface, with the address and the token that it keeps in its data folder.

import { join } from 'node:path'
import { type Arguments, CommandProblem, dataOption } from '#bin/command.ts'
import { readIfThere } from '#host/data-folder.ts'

const REQUEST_MAX_MS = 70_000
const HTTP_UNAUTHENTICATED = 401
/** Files in the data folder: where the running system listens for HTTP, and the token that opens it. */
export const ADDRESS_FILE = 'manager.url'
export const TOKEN_FILE = 'admin.token'

/** Options that every asking command has. */
export const API_OPTIONS = { data: { type: 'string' }, json: { type: 'boolean' } } as const
export const API_USAGE = `[--json] [--data DIR]
  --json      print what the API answers
  --data DIR  data folder of the running system (default ./data)`

/** One request; gives the JSON of the answer. Throws a {@link CommandProblem} with what to do about it. */
export async function askApi<T>(args: Arguments, method: 'GET' | 'POST', path: string): Promise<T> {
  const folder = dataOption(args)
  const address = readIfThere(join(folder, ADDRESS_FILE))?.trim()
  const token = readIfThere(join(folder, TOKEN_FILE))?.trim()
  if (address === undefined || token === undefined) {
    throw new CommandProblem(`no system was started with the data folder '${folder}'; name it with --data DIR`)
  }
  const response = await send(`${address}/api/v1${path}`, method, token)
  const body = (await response.json().catch(() => null)) as { error?: { code: string; message: string } } | null
  if (response.ok) return body as T
  if (response.status === HTTP_UNAUTHENTICATED) {
    // The address is left behind by a system that has ended, and another one has taken its port.
    throw new CommandProblem(
      `at ${address} answers a system with another data folder than '${folder}'; name its folder with --data DIR`,
    )
  }
  throw new CommandProblem(
    body?.error === undefined ? `HTTP ${response.status}` : `${body.error.message} [${body.error.code}]`,
  )
}

async function send(url: string, method: string, token: string): Promise<Response> {
  try {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json' }
    return await fetch(url, { method, headers, signal: AbortSignal.timeout(REQUEST_MAX_MS) })
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).name
    throw new CommandProblem(
      `nothing answers at ${new URL(url).origin} (${cause}); is the system running? carillon start`,
    )
  }
}

/** Prints the answer: as JSON with --json, else as `text` makes it. */
export function printAnswer<T>(args: Arguments, answer: T, text: (answer: T) => string): void {
  process.stdout.write(args.options['json'] === true ? `${JSON.stringify(answer, null, 2)}\n` : text(answer))
}

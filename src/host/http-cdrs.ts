// Reads the newest call detail records from the journal files, backwards, without holding a whole file.

import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const CHUNK_OCTETS = 64 * 1_024
/** Octets looked at for one answer; what is not found by then is left out. */
const SCAN_OCTETS_MAX = 64 * 1_024 * 1_024
const FILE_NAME = /^\d+\.jsonl$/
const LINE_FEED = 0x0a

/** A record as it stands in the journal; `sequence` counts up without gaps. */
export type CdrRow = Readonly<Record<string, unknown>> & { readonly sequence: number }

/** Up to `limit` records with a number below `before`, newest first. No folder means no records yet. */
export async function newestCdrs(folder: string, limit: number, before: number): Promise<CdrRow[]> {
  const rows: CdrRow[] = []
  let budget = SCAN_OCTETS_MAX
  for (const name of await journalFiles(folder, before)) {
    budget = await readBackwards(join(folder, name), budget, (line) => {
      const row = parseRow(line)
      if (row !== null && row.sequence < before) rows.push(row)
      return rows.length < limit
    })
    if (rows.length >= limit || budget <= 0) break
  }
  return rows
}

/** Names newest first; a file whose first record is not below `before` holds nothing of interest. */
async function journalFiles(folder: string, before: number): Promise<string[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  const numbered = names.filter((name) => FILE_NAME.test(name) && Number.parseInt(name, 10) < before)
  return numbered.sort().reverse()
}

/** A torn last line (being written, or cut by a crash) is no record. */
function parseRow(line: string): CdrRow | null {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null) return null
    return typeof (value as CdrRow).sequence === 'number' ? (value as CdrRow) : null
  } catch {
    return null
  }
}

/** Calls `each` with the lines of a file from the last to the first, until it answers false. Gives what is left of `budget`. */
async function readBackwards(path: string, budget: number, each: (line: string) => boolean): Promise<number> {
  const file = await open(path, 'r')
  try {
    let end = (await file.stat()).size
    let rest = Buffer.alloc(0)
    while (end > 0 && budget > 0) {
      const size = Math.min(CHUNK_OCTETS, end)
      const chunk = Buffer.alloc(size)
      const { bytesRead } = await file.read(chunk, 0, size, end - size)
      if (bytesRead < size) return budget
      end -= size
      budget -= size
      let text = Buffer.concat([chunk, rest])
      for (let at = text.lastIndexOf(LINE_FEED); at !== -1; at = text.lastIndexOf(LINE_FEED)) {
        if (at + 1 < text.length && !each(text.toString('utf8', at + 1))) return budget
        text = text.subarray(0, at)
      }
      rest = text
    }
    if (end === 0 && rest.length > 0) each(rest.toString('utf8'))
    return budget
  } finally {
    await file.close()
  }
}

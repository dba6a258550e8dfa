// The Prometheus text format (version 0.0.4) of counters, and what the operating system knows of our processes.

import { readdir, readFile } from 'node:fs/promises'
import type { CounterRow } from '#host/supervisor-channel.ts'

/** Kernel clock ticks a second in /proc/<pid>/stat: USER_HZ, which Linux fixes at 100 for user space. */
const TICKS_PER_S = 100

/** Rows as Prometheus text. Names may carry labels; rows of one name stand together under one HELP and TYPE. */
export function prometheusText(rows: readonly CounterRow[]): string {
  const families = new Map<string, { help: string; kind: string; lines: string[] }>()
  for (const row of rows) {
    const brace = row.name.indexOf('{')
    const family = brace === -1 ? row.name : row.name.slice(0, brace)
    let entry = families.get(family)
    if (entry === undefined) {
      entry = { help: row.help, kind: row.kind, lines: [] }
      families.set(family, entry)
    }
    entry.lines.push(`${row.name} ${numberText(row.value)}`)
  }
  let text = ''
  for (const [family, { help, kind, lines }] of families) {
    const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
    text += `# HELP ${family} ${escaped}\n# TYPE ${family} ${kind}\n${lines.join('\n')}\n`
  }
  return text
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}

/** CPU time, memory and open files of a process, read from /proc; nothing where there is no /proc or no such process. */
export async function processRows(role: string, pid: number): Promise<CounterRow[]> {
  const folder = `/proc/${pid}`
  try {
    const [stat, status, descriptors] = await Promise.all([
      readFile(`${folder}/stat`, 'latin1'),
      readFile(`${folder}/status`, 'latin1'),
      readdir(`${folder}/fd`),
    ])
    // The second field is the command in parentheses and may hold anything; fields are counted from the one after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    const label = `{process="${role}"}`
    return [
      counter(`carillon_process_cpu_seconds_total${label}`, 'CPU time of the process', ticks / TICKS_PER_S),
      gauge(`carillon_process_resident_memory_bytes${label}`, 'Resident memory', statusKib(status, 'VmRSS') * 1_024),
      gauge(`carillon_process_threads${label}`, 'Threads of the process', Number(fields[17])),
      gauge(`carillon_process_open_fds${label}`, 'Open file descriptors', descriptors.length),
    ]
  } catch {
    return []
  }
}

function statusKib(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}

export function counter(name: string, help: string, value: number): CounterRow {
  return { name, help, kind: 'counter', value }
}

export function gauge(name: string, help: string, value: number): CounterRow {
  return { name, help, kind: 'gauge', value }
}

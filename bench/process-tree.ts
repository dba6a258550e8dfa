// CPU time and memory of a process and all its descendants, from /proc.

import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: the unit of the times in /proc/PID/stat on every Linux architecture that Node runs on. */
const TICK_MICROS = 10_000

interface ProcessStat {
  readonly parent: number
  /** utime + stime, and those of children that ended and were waited for. */
  readonly ticks: number
}

/** One reading of a process tree. */
export interface TreeUsage {
  readonly processes: number
  /** User and system time since the tree began, in microseconds. */
  readonly cpuMicros: number
  /** Proportional set size: memory that processes share is counted once. In octets. */
  readonly pssOctets: number
}

/** Reads the tree below `root`. Processes that end meanwhile count with their parent. */
export function readTree(root: number): TreeUsage {
  const stats = new Map<number, ProcessStat>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const stat = Number.isInteger(pid) ? readStat(pid) : null
    if (stat !== null) stats.set(pid, stat)
  }
  const members = [root]
  for (const member of members) for (const [pid, stat] of stats) if (stat.parent === member) members.push(pid)
  let ticks = 0
  let pssOctets = 0
  let processes = 0
  for (const pid of members) {
    const stat = stats.get(pid)
    if (stat === undefined) continue
    processes++
    ticks += stat.ticks
    pssOctets += readPss(pid)
  }
  return { processes, cpuMicros: ticks * TICK_MICROS, pssOctets }
}

function readStat(pid: number): ProcessStat | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The name stands in parentheses and may hold spaces: fields count from the last one (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (index: number): number => Number(fields[index - 3] ?? 0)
  return { parent: number(4), ticks: number(14) + number(15) + number(16) + number(17) }
}

function readPss(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    return match === null ? 0 : Number(match[1]) * 1024
  } catch {
    return 0
  }
}

// The table of figures in bench/README.md, between its two marks.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

import type { Figure, Row } from '#bench/measures.ts'

export interface TableHead {
  /** Names of the targets with their versions, in the order of the figures. */
  readonly targets: readonly { name: string; version: string }[]
  readonly effort: string
}

/** The table as Markdown; rows with columns of their own make further tables. */
export function renderTable(head: TableHead, rows: readonly Row[]): string {
  const names = head.targets.map((target) => target.name)
  const versions = head.targets.map((target) => `${target.name} ${target.version}`).join(', ')
  const lines = [
    `${new Date().toISOString().slice(0, 10)}, ${versions}, SIPp ${sippVersion()}, Node ${process.versions.node}; ${machine()}. ${head.effort}.`,
  ]
  let columns: readonly string[] = []
  for (const row of rows) {
    const own = row.columns ?? names
    if (own.join() !== columns.join()) {
      columns = own
      const [first, second] = own
      const titles = ['measure', 'unit', ...own, ...(second === undefined ? [] : [`${second} ÷ ${first}`])]
      lines.push('', `| ${titles.join(' | ')} |`, `|---|---|${'---:|'.repeat(titles.length - 2)}`)
    }
    lines.push(`| ${cells(row, columns.length > 1).join(' | ')} |`)
  }
  return lines.join('\n')
}

/** Where the README has a table: of the switch, or of the media gateway. */
const MARKS = {
  switch: ['<!-- table: written by npm run bench -->', '<!-- end of table -->'],
  media: ['<!-- media table: written by npm run bench -- --media -->', '<!-- end of media table -->'],
} as const

/** Puts the table where the README has its marks. */
export function writeTable(part: keyof typeof MARKS, table: string): void {
  const file = join(import.meta.dirname, 'README.md')
  const text = readFileSync(file, 'utf8')
  const [first, last] = MARKS[part]
  const begin = text.indexOf(first)
  const end = text.indexOf(last)
  if (begin < 0 || end < begin) throw new Error(`${file} has lost the marks of its table`)
  writeFileSync(file, `${text.slice(0, begin + first.length)}\n\n${table}\n\n${text.slice(end)}`)
}

function cells(row: Row, compare: boolean): string[] {
  const list = [row.measure, row.unit, ...row.figures.map(figureText)]
  if (!compare) return list
  const [first, second] = row.figures.map((figure) => figure.value)
  const comparable = typeof first === 'number' && typeof second === 'number' && first > 0
  list.push(comparable ? (second / first).toFixed(2) : '')
  return list
}

function figureText(figure: Figure): string {
  const value = figure.value === null ? '' : figure.value.toLocaleString('en-US')
  return figure.note === '' ? value : `${value} (${figure.note.trim()})`.trim()
}

function sippVersion(): string {
  try {
    execFileSync('sipp', ['-v'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch (error) {
    // SIPp ends with 99 after printing its version.
    const { stdout } = error as { stdout?: string }
    return /SIPp v([\d.]+)/.exec(stdout ?? '')?.[1] ?? 'unknown'
  }
  return 'unknown'
}

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `${cpus().length} cores of ${model} (${arch()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
}

// Rows of plain data as a table for a terminal.

/** Control characters could drive the reader's terminal; names and numbers come from the network. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

/** One line a row under a heading; columns are the keys of all rows, in the order in which they first appear. */
export function tableText(rows: readonly Readonly<Record<string, unknown>>[], emptyText: string): string {
  if (rows.length === 0) return `${emptyText}\n`
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const lines = [columns, ...rows.map((row) => columns.map((column) => cellText(column, row[column])))]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Text that came from elsewhere, safe to print on one line of a terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL, '?')
}

/** Instants (columns named …At) are milliseconds since 1970 in the API, and a date for a person. */
function cellText(column: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  if (column.endsWith('At') && typeof value === 'number') return new Date(value).toISOString()
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return printable(text)
}

/** The named columns of each row, in that order, dropping those that no row has. */
export function pickColumns(
  rows: readonly Readonly<Record<string, unknown>>[],
  columns: readonly string[],
): Record<string, unknown>[] {
  const present = columns.filter((column) => rows.some((row) => row[column] !== undefined && row[column] !== null))
  return rows.map((row) => Object.fromEntries(present.map((column) => [column, row[column]])))
}

/** A call or record with one column a party: the number, or the URI where there is none. */
export function withParties(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    ...row,
    caller: row['callerNumber'] ?? row['caller'],
    called: row['calledNumber'] ?? row['callee'],
  }
}

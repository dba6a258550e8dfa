import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

test('docs/errors.md lists every code of routing and configuration', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const sources = ['./route.ts', '../schema/config-problem.ts'].map((path) =>
    readFileSync(new URL(path, import.meta.url), 'utf8'),
  )
  const codes = new Set(sources.join('\n').match(/'(ROUTE|CONFIG)_[A-Z_]+'/g))
  assert.ok(codes.size > 20)
  for (const code of codes) assert.ok(page.includes(`\`${code.slice(1, -1)}\``), code)
})

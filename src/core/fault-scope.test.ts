import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultScope } from '#core/fault-scope.ts'

test('a fault is told to the owner at work, once', () => {
  const scope = new FaultScope()
  const told: unknown[] = []
  scope.active = { onFault: (error) => told.push(error) }
  assert.equal(scope.report('first'), true)
  assert.equal(scope.report('second'), false, 'nobody is at work any more')
  assert.deepEqual(told, ['first'])
})

test('outside any owner a fault is the affair of the process', () => {
  assert.equal(new FaultScope().report('x'), false)
})

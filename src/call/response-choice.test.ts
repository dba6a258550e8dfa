import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBetterFailure, isHunting, shownStatus } from '#call/response-choice.ts'

test('6xx tells the caller most, then the lowest class, then what is most definite (§16.7 step 6)', () => {
  const order = [603, 302, 486, 488, 404, 480, 408, 487, 500]
  for (let i = 0; i < order.length; i += 1) {
    for (let k = i + 1; k < order.length; k += 1) {
      assert.equal(isBetterFailure(order[i] ?? 0, order[k] ?? 0), true, `${order[i]} before ${order[k]}`)
      assert.equal(isBetterFailure(order[k] ?? 0, order[i] ?? 0), false, `${order[k]} after ${order[i]}`)
    }
  }
})

test('of equal failures the first stays', () => {
  for (let status = 300; status < 700; status += 1) assert.equal(isBetterFailure(status, status), false)
})

test('the next route is tried when the trunk did not answer or could not take the call', () => {
  const hunting = Array.from({ length: 400 }, (_, i) => 300 + i).filter(isHunting)
  assert.ok([408, 430, 500, 502, 503, 504, 580].every((status) => hunting.includes(status)))
  assert.ok([302, 403, 404, 480, 484, 486, 487, 488, 501, 505, 600, 603].every((status) => !hunting.includes(status)))
})

test('what only concerns us and the callee is not shown to the caller (§16.7 step 6)', () => {
  assert.deepEqual([302, 401, 407, 421, 422, 482, 503].map(shownStatus), [480, 500, 500, 500, 500, 500, 500])
  for (const status of [400, 404, 408, 480, 484, 486, 487, 488, 500, 504, 600, 603])
    assert.equal(shownStatus(status), status)
})

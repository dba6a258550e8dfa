import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Talker, TalkerChoice } from '#gateway/audio/talker-choice.ts'

/** Rounds of 20 ms with these levels; gives how often the floor changed. */
function rounds(choice: TalkerChoice, ms: number, levels: readonly (readonly [Talker, number])[]): number {
  let changes = 0
  for (let at = 0; at < ms; at += 20) {
    for (const [talker, level] of levels) choice.observe(talker, level)
    if (choice.decide(20)) changes += 1
  }
  return changes
}

test('who talks has the floor, keeps it through a breath, and loses it after a second and a half', () => {
  const [anna, bert] = [new Talker(), new Talker()]
  const choice = new TalkerChoice()
  assert.equal(
    rounds(choice, 400, [
      [anna, -20],
      [bert, -70],
    ]),
    1,
  )
  assert.equal(choice.current, anna)
  assert.equal(
    rounds(choice, 800, [
      [anna, -70],
      [bert, -70],
    ]),
    0,
  )
  assert.equal(choice.current, anna)
  rounds(choice, 2000, [
    [anna, -70],
    [bert, -70],
  ])
  assert.equal(choice.current, null)
})

test('another takes the floor when clearly louder for 200 ms, a cough does not', () => {
  const [anna, bert] = [new Talker(), new Talker()]
  const choice = new TalkerChoice()
  rounds(choice, 400, [
    [anna, -25],
    [bert, -70],
  ])
  rounds(choice, 100, [
    [anna, -25],
    [bert, -10],
  ])
  rounds(choice, 400, [
    [anna, -25],
    [bert, -70],
  ])
  assert.equal(choice.current, anna)
  rounds(choice, 600, [
    [anna, -25],
    [bert, -10],
  ])
  assert.equal(choice.current, bert)
})

test('two who are equally loud do not take turns', () => {
  const [anna, bert] = [new Talker(), new Talker()]
  const choice = new TalkerChoice()
  assert.equal(
    rounds(choice, 5000, [
      [anna, -20],
      [bert, -21],
    ]),
    1,
  )
})

test('who leaves has no floor', () => {
  const anna = new Talker()
  const choice = new TalkerChoice()
  rounds(choice, 400, [[anna, -20]])
  choice.remove(anna)
  assert.equal(choice.current, null)
})

/** A vitest reporter for scripts/run-tests.ts: writes the tally of a run, as JSON, to the file FULLMON_TALLY. */
import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from 'vitest/node'

interface Named {
  readonly name: string
  readonly reason: string
}

export interface Tally {
  readonly passed: number
  readonly failed: readonly string[]
  readonly skipped: readonly Named[]
  /** Of those that passed: those that failed first. */
  readonly flaky: readonly Named[]
}

const nameOf = (test: TestCase | TestSuite): string => `${test.module.relativeModuleId} > ${test.fullName}`

const hasFailedSuite = ({ parent }: TestCase | TestSuite): boolean =>
  parent.type === 'suite' && (parent.errors().length > 0 || hasFailedSuite(parent))

const skippedOf = (test: TestCase): Named => {
  const result = test.result()
  const note = result.state === 'skipped' ? result.note : undefined
  const otherwise = hasFailedSuite(test) ? 'its suite failed before it' : 'its reason is printed above'
  return { name: nameOf(test), reason: note ?? otherwise }
}

const flakyOf = (test: TestCase): Named => {
  const [first = ''] = test.result().errors?.[0]?.message.split('\n') ?? []
  return { name: nameOf(test), reason: first }
}

/** Failures outside of tests count as well: a file that cannot be loaded, a `beforeAll` that throws, a stray rejection. */
function tallyOf(modules: readonly TestModule[], strayErrors: readonly SerializedError[]): Tally {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  const suites = modules.flatMap((module) => [...module.children.allSuites()])
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failed: [
      ...modules.filter((module) => module.errors().length > 0).map((module) => module.relativeModuleId),
      ...suites.filter((suite) => suite.errors().length > 0).map(nameOf),
      ...tests.filter((test) => ['failed', 'pending'].includes(test.result().state)).map(nameOf),
      ...strayErrors.map((error) => `outside of a test: ${error.message}`),
    ],
    skipped: tests.filter((test) => test.result().state === 'skipped').map(skippedOf),
    flaky: tests.filter((test) => test.diagnostic()?.flaky === true).map(flakyOf),
  }
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], strayErrors: readonly SerializedError[]): void {
    const path = process.env['FULLMON_TALLY']
    if (path !== undefined) writeFileSync(path, JSON.stringify(tallyOf(modules, strayErrors)))
  }
}

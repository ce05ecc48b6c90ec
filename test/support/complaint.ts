import { expect } from 'vitest'
import { UsageError } from '../../agent/domain/result.ts'

/** The sentence that the user is told when `work` cannot be done. */
export function complaint(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    return error instanceof Error ? error.message : ''
  }
  return 'no complaint'
}

import { existsSync } from 'node:fs'
import { ProcessMemory } from '../baseline/process-memory.ts'
import { UsageError } from '../domain/result.ts'
import { Model } from './model.ts'

/**
 * Does something with what the baseline knows of processes, which is nothing when it cannot be read: the model says why.
 * @param path of the baseline, also one that an agent writes to
 */
export async function withModel<T>(path: string, work: (model: Model) => Promise<T>): Promise<T> {
  const memory = memoryAt(path)
  if (typeof memory === 'string') return work(new Model(undefined, memory))
  try {
    const { habits, normal } = memory
    const isEmpty = normal === undefined && habits.size === 0
    const learned = {
      ...{ habits, normal },
      executes: (parent: string, child: string) => memory.executes(parent, child),
      isExecuted: (child: string) => memory.isExecuted(child),
    }
    return await work(isEmpty ? new Model(undefined, `${path} is not trained`) : new Model(learned))
  } finally {
    memory.close()
  }
}

/** A reason when there is none to read. */
function memoryAt(path: string): ProcessMemory | string {
  try {
    return existsSync(path) ? new ProcessMemory(path) : `there is no baseline that can be read at ${path}`
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
}

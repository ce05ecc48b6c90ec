import { addAbortSignal } from 'node:stream'
import type { Chunk } from '../domain/chunk.ts'

/**
 * Standard input as it comes, until its end or the signal: the protocol of an auditd plugin (a record a line, reads cut
 * anywhere) and of a shell pipe. Can be read once. Its chunks stay valid and have no position.
 */
export async function* readStdin(signal?: AbortSignal): AsyncGenerator<Chunk, void, undefined> {
  if (signal !== undefined) addAbortSignal(signal, process.stdin)
  try {
    for await (const bytes of process.stdin as AsyncIterable<Buffer>) yield { bytes, at: undefined }
  } catch (error) {
    if (signal?.aborted !== true) throw error
  }
}

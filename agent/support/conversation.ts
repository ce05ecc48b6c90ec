import { createInterface } from 'node:readline'
import type { ReadStream, WriteStream } from 'node:tty'

/** Asks somebody at a terminal, or a program that answers in his place. */
export interface Conversation {
  readonly say: (text: string) => void
  /** One character that answers; undefined when nobody answers any more. */
  readonly ask: (question: string) => Promise<string | undefined>
  readonly close: () => void
}

const CTRL_C = '\u0003'
const CTRL_D = '\u0004'

/** Each key is an answer. */
export function rawConversation(input: ReadStream, output: WriteStream, signal: AbortSignal): Conversation {
  const keys: string[] = []
  let waiting: ((key: string | undefined) => void) | undefined
  let isOver = false
  const give = (key: string | undefined): void => {
    if (key === undefined) isOver = true
    else keys.push(key)
    if (waiting === undefined) return
    const tell = waiting
    waiting = undefined
    tell(keys.shift())
  }
  const take = (text: string): void => {
    // An arrow or another key that sends several characters is one, and answers nothing.
    const all = text.startsWith('\u001b') ? ['\u001b'] : Array.from(text)
    for (const key of all) give(key === CTRL_C || key === CTRL_D ? undefined : key)
  }
  const stop = (): void => give(undefined)
  input.setRawMode(true)
  input.setEncoding('utf8')
  input.on('data', take)
  input.on('end', stop)
  signal.addEventListener('abort', stop)
  return {
    say: (text) => void output.write(text),
    ask: async (question) => {
      output.write(question)
      const kept = keys.shift()
      const key =
        kept ?? (isOver ? undefined : await new Promise<string | undefined>((found) => (waiting = found)))
      output.write(`${key === undefined || key < ' ' ? '' : key}\n`)
      return key
    },
    close: () => {
      signal.removeEventListener('abort', stop)
      input.off('data', take)
      input.off('end', stop)
      input.setRawMode(false)
      input.pause()
    },
  }
}

/** Each line is an answer, of which the first character counts. */
export function lineConversation(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Conversation {
  const lines = createInterface({ input, terminal: false })
  const iterator = lines[Symbol.asyncIterator]()
  return {
    say: (text) => void output.write(text),
    ask: async (question) => {
      output.write(question)
      const { value, done } = await iterator.next()
      output.write('\n')
      return done === true ? undefined : value.trim().charAt(0)
    },
    close: () => lines.close(),
  }
}

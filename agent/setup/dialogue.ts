import { createInterface } from 'node:readline/promises'
import { onOneLine } from '../report/text.ts'

/** A person at a terminal. */
export interface Dialogue {
  readonly say: (text: string) => void
  /** A line; undefined when nobody answers any more. */
  readonly ask: (question: string) => Promise<string | undefined>
  readonly close: () => void
}

/** Lines that can be edited; Ctrl-C and Ctrl-D end it. */
export function terminalDialogue(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Dialogue {
  const terminal = createInterface({ input, output, signal, historySize: 0 })
  // What comes before it is asked for, as when somebody pastes all answers at once, waits here.
  const lines = terminal[Symbol.asyncIterator]()
  terminal.on('SIGINT', () => terminal.close())
  return {
    say: (text) => void output.write(text),
    ask: async (question) => {
      terminal.setPrompt(onOneLine(question))
      terminal.prompt()
      const { value, done } = await lines.next()
      return done === true ? undefined : value
    },
    close: () => terminal.close(),
  }
}

import { request } from 'node:http'
import type { RequestOptions } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Asks over a connection of its own. */
export function ask(path: string, options: RequestOptions): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ path, agent: false, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (more: string) => (text += more))
      response.once('close', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      )
    })
    asked.once('error', reject).end()
  })
}

export const objectOf = ({ text }: Reply): Record<string, unknown> =>
  JSON.parse(text) as Record<string, unknown>

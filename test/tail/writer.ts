import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs'

/** Writes and rotates a log the way auditd does with `max_log_file_action = ROTATE`. */
export class RotatingLog {
  readonly path: string
  readonly #saved: number
  #fd: number

  /** @param saved how many logs are kept beside the live one: auditd's `num_logs` less one */
  constructor(path: string, saved: number) {
    this.path = path
    this.#saved = saved
    this.#fd = openSync(path, 'a')
  }

  write(text: string): void {
    writeSync(this.#fd, text)
  }

  rotate(): void {
    closeSync(this.#fd)
    for (let age = this.#saved - 1; age >= 0; age--) {
      const name = age === 0 ? this.path : `${this.path}.${age}`
      if (existsSync(name)) renameSync(name, `${this.path}.${age + 1}`)
    }
    this.#fd = openSync(this.path, 'a')
  }

  close(): void {
    closeSync(this.#fd)
  }
}

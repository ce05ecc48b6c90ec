import { closeSync, copyFileSync, existsSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs'

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
    this.#age(0)
    this.#fd = openSync(this.path, 'a')
  }

  /** As logrotate does with `copytruncate`. */
  copyAndTruncate(): void {
    this.#age(1)
    copyFileSync(this.path, `${this.path}.1`)
    ftruncateSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #age(newest: number): void {
    for (let age = this.#saved - 1; age >= newest; age--) {
      const name = age === 0 ? this.path : `${this.path}.${age}`
      if (existsSync(name)) renameSync(name, `${this.path}.${age + 1}`)
    }
  }
}

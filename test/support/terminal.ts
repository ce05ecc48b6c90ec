import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** Less than a test may take, so that it can tell what it saw. */
const PATIENCE_S = 45

/** Runs a program at a terminal of its own; each step waits for words on it and types others. */
const DRIVER = `
import json, os, pty, re, select, sys, time
steps, argv = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(argv[0], argv)
shown, from_here, deadline = b'', 0, time.monotonic() + ${PATIENCE_S}
def read():
    global shown
    if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        raise SystemExit('never came: ' + repr(shown))
    try:
        some = os.read(terminal, 65536)
    except OSError:
        some = b''
    shown += some
    return some
for wanted, typed in steps:
    while (at := shown.find(wanted.encode(), from_here)) < 0:
        if not read():
            raise SystemExit('ended before ' + wanted + ': ' + repr(shown))
    from_here = at + len(wanted)
    os.write(terminal, typed.encode())
while read():
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'status': status, 'shown': shown.decode('utf-8', 'replace')}))
`

/**
 * A program at a real pseudo-terminal.
 * @param steps what is waited for, and what is typed then
 */
export async function atTerminal(
  program: string,
  words: readonly string[],
  steps: readonly (readonly [wanted: string, typed: string])[],
): Promise<{ readonly status: number; readonly shown: string }> {
  const child = spawn('/usr/bin/python3', ['-c', DRIVER, JSON.stringify(steps), program, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as { status: number; shown: string }
}

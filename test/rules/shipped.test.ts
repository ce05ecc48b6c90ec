import { describe, expect, test } from 'vitest'
import { failuresOf } from '../../agent/rule-examples.ts'
import { readRules } from '../../agent/rules/read.ts'

const RULES = readRules({ folders: [], disabled: [] }).map(({ rule }) => rule)

describe('a shipped rule does what its examples say', () => {
  test.each(RULES)('$id', (rule) => {
    expect(failuresOf(rule, [4444, 31337], true)).toEqual([])
  })
})

test('no example of one kind fits in the place of the other', () => {
  for (const rule of RULES) {
    const { match, no_match: noMatch } = rule.examples
    const swapped = { ...rule, examples: { match: noMatch, no_match: match } }
    expect({ id: rule.id, failures: failuresOf(swapped, [4444, 31337], true).length }).toEqual({
      id: rule.id,
      failures: match.length + noMatch.length,
    })
  }
})

test('nothing is told of what ordinary hosts do all day', () => {
  const ordinary = [
    { kind: 'exec', from: 'proc::root:/usr/sbin/sshd', to: 'proc::root:/usr/bin/bash', argv: ['-bash'] },
    {
      kind: 'exec',
      from: 'proc::root:/usr/sbin/cron',
      to: 'proc::root:/usr/bin/dash',
      argv: ['sh', '-c', 'run-parts'],
    },
    { kind: 'exec', from: 'proc::root:/usr/lib/systemd/systemd', to: 'proc::root:/usr/sbin/nginx' },
    { kind: 'connect', from: 'proc::_apt:/usr/lib/apt/methods/http', to: 'host:deb.debian.org:80' },
    { kind: 'connect', from: 'proc::root:/usr/bin/ssh', to: 'host:203.0.113.5:22' },
    { kind: 'listen', from: 'proc::root:/usr/sbin/nginx', to: 'host:0.0.0.0:80' },
    { kind: 'rename', from: 'proc::root:/usr/sbin/logrotate', to: 'file:rename:/var/log/syslog' },
    { kind: 'write', from: 'proc::root:/usr/sbin/sshd', to: 'file:write:/var/log/wtmp' },
    { kind: 'write', from: 'proc::root:/usr/bin/bash', to: 'file:write:/root/.bash_history' },
    {
      kind: 'create',
      from: 'proc::root:/usr/lib/systemd/systemd-logind',
      to: 'file:create:/run/systemd/sessions/4',
    },
    {
      kind: 'exec',
      from: 'proc::root:?',
      to: 'proc::root:/usr/bin/kmod',
      argv: ['/sbin/modprobe', '-q', '--', 'ip_tables'],
    },
  ] as const
  for (const rule of RULES) {
    const examples = {
      match: [],
      no_match: ordinary.map((each) => ({ ...each, argv: 'argv' in each ? [...each.argv] : [] })),
    }
    expect(failuresOf({ ...rule, examples }, [4444], false)).toEqual([])
  }
})

import { describe, expect, test } from 'vitest'
import { globOf, prefixOrGlobOf } from '../../agent/rules/glob.ts'

describe('a glob stands for', () => {
  test.each([
    ['/etc/passwd', ['/etc/passwd'], ['/etc/passwd-', '/etc']],
    ['/etc/cron.d/*', ['/etc/cron.d/x', '/etc/cron.d/.x'], ['/etc/cron.d/x/y', '/etc/crontab']],
    ['/home/*/.ssh/**', ['/home/a/.ssh/b', '/home/a/.ssh/b/c'], ['/home/a/b/.ssh/c', '/home/a/.sshd/c']],
    ['**/.ssh/*', ['/root/.ssh/a', '/home/a/.ssh/b', '.ssh/a'], ['/root/x.ssh/a']],
    ['/a/**/b', ['/a/b', '/a/x/b', '/a/x/y/b'], ['/ab', '/a/xb']],
    ['/tmp/?[0-9]', ['/tmp/a1'], ['/tmp/ab', '/tmp//1', '/tmp/a12']],
    ['/tmp/[!a-c]', ['/tmp/d'], ['/tmp/a', '/tmp/']],
    ['/lib/{a,b/*}.so', ['/lib/a.so', '/lib/b/c.so'], ['/lib/b.so', '/lib/a,b.so']],
    ['/x/\\*', ['/x/*'], ['/x/a']],
    ['/x+(y).$|^', ['/x+(y).$|^'], ['/xx(y)a$|^']],
    ['/x*', ['/x\n', '/xä😀'], ['/x/']],
  ])('%s', (glob, fitting, others) => {
    const fits = globOf(glob)
    expect([...fitting, ...others].filter(fits)).toEqual(fitting)
  })
})

test('a path without wildcards stands for all that is below it', () => {
  const fits = prefixOrGlobOf('/srv/www')
  expect(['/srv/www', '/srv/www/a/b', '/srv/www2', '/srv'].map(fits)).toEqual([true, true, false, false])
  expect(['/srv/', '/srv/a', '/srv'].map(prefixOrGlobOf('/srv/'))).toEqual([true, true, false])
  expect(['/srv/a', '/srv/a/b'].map(prefixOrGlobOf('/srv/*'))).toEqual([true, false])
})

test('a glob that cannot be understood is refused', () => {
  expect(() => globOf('/x/{a,b')).toThrow('a { without its }')
})

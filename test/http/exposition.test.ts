import { spawnSync } from 'node:child_process'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { expositionOf } from '../../agent/http/exposition.ts'

/** A slow reader of the format, as its description has it: prometheus.io/docs/instrumenting/exposition_formats. */
const READER = `
import json, re, sys
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(.*)\\})? (\\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"(?:,|$)')
found = []
text = sys.stdin.buffer.read().decode()
assert text.endswith('\\n')
for line in text[:-1].split('\\n'):
    if line.startswith('#'): continue
    name, labels, value = SAMPLE.fullmatch(line).groups()
    pairs = LABEL.findall(labels or '')
    assert ','.join('%s="%s"' % pair for pair in pairs) == (labels or '')
    plain = lambda text: re.sub(r'\\\\(.)', lambda m: {'n': '\\n'}.get(m.group(1), m.group(1)), text)
    found.append([name, {key: plain(text) for key, text in pairs}, float(value)])
print(json.dumps(found))
`

test('whatever a label holds, a reader finds it there', () => {
  const labels = fc.dictionary(fc.constantFrom('a', 'b', 'reason'), fc.string({ unit: 'grapheme' }), {
    noNullPrototype: true,
  })
  const samples = fc.array(fc.record({ labels, value: fc.integer() }), { minLength: 1 })
  fc.assert(
    fc.property(samples, (given) => {
      const text = expositionOf([{ name: 'fullmon_x', type: 'gauge', help: 'two\nlines \\', samples: given }])
      const { stdout, stderr } = spawnSync('python3', ['-c', READER], { input: text, encoding: 'utf8' })
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual(given.map(({ labels: each, value }) => ['fullmon_x', each, value]))
    }),
    { numRuns: 15 },
  )
})

test('each metric is introduced once, and one without samples not at all', () => {
  const text = expositionOf([
    {
      name: 'a',
      type: 'gauge',
      help: 'A\\B\nC',
      samples: [{ value: 1.5 }, { labels: { k: 'v' }, value: 2 }],
    },
    { name: 'b', type: 'counter', help: 'none', samples: [] },
  ])
  expect(text).toBe('# HELP a A\\\\B\\nC\n# TYPE a gauge\na 1.5\na{k="v"} 2\n')
})

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readRules, rulesIn } from '../../agent/rules/read.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'

const NOTHING = { commands: [], paths: [], users: [] }
const RULE = `- id: my-rule
  type: bin-execution
  title: '{process} ran {target}'
  severity: low
  reason: because
  next: [look]
`

function fileWith(text: string, name = 'r.yaml'): string {
  const file = join(folderForTest(), name)
  writeFileSync(file, text)
  return file
}

test('a rule is what it says, and what it does not say has its default', () => {
  const file = fileWith(RULE)
  expect(rulesIn(file, 'own')).toEqual([
    {
      rule: {
        ...{ id: 'my-rule', type: 'bin-execution', title: '{process} ran {target}', severity: 'low' },
        ...{ enabled: true, novel: false, when: {}, skip: NOTHING, reason: 'because', next: ['look'] },
        examples: { match: [], no_match: [] },
      },
      place: `${file}:1:3`,
      isShipped: false,
    },
  ])
})

describe('what is wrong is named with its place', () => {
  test.each([
    ['  sevrity: high\n', '7:3: 0.sevrity: no such key; did you mean severity?'],
    ['  when: { target: { naem: x } }\n', '7:21: 0.when.target.naem: no such key; did you mean name?'],
    ['  when: { argv: ["(a"] }\n', '7:18: 0.when.argv.0: a ( without its ), at character 3'],
    ['  when: { argv: "(?=a)" }\n', /^7:11: 0\.when\.argv: looking ahead or behind/],
    ['  when: { target: { file: "/x/{a,b" } }\n', '7:21: 0.when.target.file: a { without its }'],
    ['  when: { target: { port: 99999 } }\n', /^7:21: 0\.when\.target\.port: /],
    ['  when: { kind: exec }\n', '7:11: 0.when.kind: only rules of type edge have it'],
    ['  when: { signal: 11 }\n', '7:11: 0.when.signal: only rules of type termination-failure have it'],
    ['  skip: { paths: ["/x[z-a]"] }\n', /^7:19: 0\.skip\.paths\.0: Invalid regular expression/],
    ['  examples: { match: [{ kind: exe }] }\n', /^7:25: 0\.examples\.match\.0\.kind: /],
  ])('%s', (more, said) => {
    const file = fileWith(RULE + more)
    const told = complaint(() => rulesIn(file, 'own')).replaceAll(`${file}:`, '')
    if (typeof said === 'string') expect(told).toBe(said)
    else expect(told).toMatch(said)
  })

  test('a part of a sentence that there is not', () => {
    const file = fileWith(RULE.replace('{target}', '{victim}'))
    expect(complaint(() => rulesIn(file, 'own'))).toBe(
      `${file}:3:3: 0.title: there is no {victim}; there are process, user, parent, target, path, pid, how`,
    )
  })

  test('two rules of one id', () => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'a.yaml'), RULE)
    writeFileSync(join(folder, 'b.yml'), RULE)
    expect(complaint(() => readRules({ folders: [folder], disabled: [] }))).toBe(
      `${folder}/b.yml:1:3: there is a rule my-rule already, at ${folder}/a.yaml:1:3`,
    )
  })

  test('a folder that there is not, and a rule to be switched off that there is not', () => {
    expect(complaint(() => readRules({ folders: ['/nowhere'], disabled: [] }))).toBe(
      'rules.folders: there is no folder /nowhere',
    )
    expect(complaint(() => readRules({ folders: [], disabled: ['no-such'] }))).toBe(
      'rules.disabled: there is no rule no-such; see fullmon rules list',
    )
  })
})

test('a rule of the host replaces a shipped one, and any can be switched off', () => {
  const folder = folderForTest()
  mkdirSync(join(folder, 'more.yaml.d'))
  writeFileSync(join(folder, 'own.yaml'), RULE.replace('my-rule', 'account-tool'))
  writeFileSync(join(folder, 'README'), 'no rules')
  const rules = readRules({ folders: [folder], disabled: ['setuid-bit'] })
  const own = rules.filter(({ isShipped }) => !isShipped)
  expect(own.map(({ rule }) => [rule.id, rule.severity])).toEqual([['account-tool', 'low']])
  expect(rules.filter(({ rule }) => rule.id === 'account-tool')).toHaveLength(1)
  expect(rules.filter(({ rule }) => !rule.enabled).map(({ rule }) => rule.id)).toEqual(['setuid-bit'])
})

describe('a file of rules is read as one that decides what root does', () => {
  const said = (folder: string): string => complaint(() => readRules({ folders: [folder], disabled: [] }))

  test('nobody waits for a pipe, and nothing endless is read', () => {
    const folder = folderForTest()
    const file = join(folder, 'x.yaml')
    execFileSync('mkfifo', [file])
    expect(said(folder)).toBe(`cannot read the rules ${file}: it is no file`)
    expect(complaint(() => rulesIn(file, 'tried'))).toBe(`cannot read the rules ${file}: it is no file`)
    const large = fileWith(RULE)
    truncateSync(large, 2 << 20)
    expect(complaint(() => rulesIn(large, 'own'))).toContain('it has 2097152 bytes')
  })

  test.skipIf(process.geteuid?.() !== 0)('what others may write is refused (needs root)', () => {
    const folder = folderForTest()
    const file = join(folder, 'x.yaml')
    writeFileSync(file, RULE)
    expect(said(folder)).toBe('no complaint')
    chmodSync(file, 0o646)
    expect(said(folder)).toContain(`others than root may write it: chmod go-w ${file}`)
    chmodSync(file, 0o644)
    chownSync(file, 65534, 65534)
    expect(said(folder)).toContain('it belongs to uid 65534, who may change what root does')
    // It is only tried.
    expect(rulesIn(file, 'tried')).toHaveLength(1)
    chownSync(file, 0, 0)
    chmodSync(folder, 0o1777)
    expect(said(folder)).toBe(`others may write into rules.folders: ${folder}: chmod go-w ${folder}`)
    chmodSync(folder, 0o755)
    chownSync(folder, 65534, 65534)
    expect(said(folder)).toContain(`${folder} belongs to uid 65534`)
    chownSync(folder, 0, 0)
  })
})

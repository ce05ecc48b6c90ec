import { readFileSync } from 'node:fs'
import type { Argv } from 'yargs'
import { edgesIn, exportBaseline, importBaseline } from '../baseline/transfer.ts'
import { loadConfig } from '../config/config.ts'
import { EDGE_KINDS } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import { timeText } from '../report/text.ts'
import { commandAuthor } from './author.ts'
import { DB_OPTION, JSON_OPTION, command, fileFromYargs } from './command.ts'

const ACTIONS = ['show', 'stats', 'export', 'import'] as const

export const baselineCommand = command({
  options: (yargs: Argv) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('file', { type: 'string', describe: 'import: what export printed; - for standard input' })
      .options({
        db: DB_OPTION,
        match: { type: 'string', requiresArg: true, describe: 'show: only edges whose text contains this' },
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 baseline show --match nginx', 'edges that name nginx')
      .example('sudo $0 baseline stats', 'edges by kind')
      .example('sudo $0 baseline export > host.jsonl', 'a copy, also while the agent runs')
      .example('sudo $0 baseline import host.jsonl --db new.db', 'merge it into another'),
  run: (words) => {
    const { db } = loadConfig(undefined, words.db === undefined ? {} : { db: words.db })
    switch (words.action) {
      case 'show':
        show(db, words.match, words.json)
        break
      case 'stats':
        stats(db, words.json)
        break
      case 'export':
        for (const line of exportBaseline(db)) process.stdout.write(`${line}\n`)
        break
      case 'import':
        importFile(db, words.file === undefined ? undefined : fileFromYargs(words.file), words.json)
        break
    }
    return Promise.resolve(0)
  },
})

function show(db: string, match: string | undefined, json: boolean): void {
  for (const edge of edgesIn(db)) {
    const path = `${edge.from}->${edge.to}`
    if (match !== undefined && !path.includes(match)) continue
    const { kind, from, to, ...stats } = edge
    const text = json
      ? JSON.stringify({ kind: 'edge', edge: { kind, from, to }, ...stats })
      : `${kind.padEnd(11)} ${path} [${stats.sightings} on ${stats.days} days, last ${timeText(stats.lastMs)}]`
    process.stdout.write(`${text}\n`)
  }
}

function stats(db: string, json: boolean): void {
  const counts = new Map(EDGE_KINDS.map((kind) => [kind, { edges: 0, sightings: 0 }]))
  for (const { kind, sightings } of edgesIn(db)) {
    const count = counts.get(kind)
    if (count === undefined) continue
    count.edges++
    count.sightings += sightings
  }
  for (const [kind, { edges, sightings }] of counts) {
    if (json) process.stdout.write(`${JSON.stringify({ kind: 'stats', edgeKind: kind, edges, sightings })}\n`)
    else if (edges > 0) process.stdout.write(`${kind.padEnd(11)} ${edges} edges, seen ${sightings} times\n`)
  }
}

function importFile(db: string, file: string | undefined, json: boolean): void {
  if (file === undefined)
    throw new UsageError('import what? Name a file that export wrote, or - for standard input')
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { edges, isSealed } = importBaseline(db, text.split('\n'), { source: file, author: commandAuthor() })
  if (!isSealed)
    process.stderr.write(
      `fullmon: ${file} was exported by an older fullmon: nothing in it tells whether it is whole\n`,
    )
  process.stdout.write(
    json ? `${JSON.stringify({ kind: 'import', edges })}\n` : `${edges} edges merged into ${db}\n`,
  )
}

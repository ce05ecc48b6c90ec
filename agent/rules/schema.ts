import { z } from 'zod'
import { PROGRAM_KINDS } from '../detect/programs.ts'
import { EDGE_KINDS } from '../domain/edge.ts'
import { SEVERITIES } from '../domain/report.ts'
import { Expression } from '../support/expression.ts'
import { globOf, prefixOrGlobOf } from './glob.ts'
import { PLACEHOLDERS } from './sentence.ts'

/** Ports of the configuration: `ports.watched`. */
export const WATCHED = '$watched'
/** What a peer is, instead of how it is called. */
export const FAR_ENDS = ['$this_host', '$outside', '$public', '$nameless'] as const

/** One word, or a list of them. */
const list = <T extends z.ZodType>(word: T) =>
  z.union([word, z.array(word).min(1)]).transform((given) => (Array.isArray(given) ? given : [given]))

/** @param compile throws a SyntaxError with what is wrong */
const compiled = (compile: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    try {
      compile(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    }
  })

const Glob = compiled(globOf)
const PrefixOrGlob = compiled(prefixOrGlobOf).min(1)
const Word = z.string().min(1)
const MostPort = 65_535
const Port = z.union([
  z.int().min(0).max(MostPort),
  z.literal(WATCHED),
  z.string().regex(/^\d{1,5}-\d{1,5}$/, `expected a port, a range such as 6660-6669, or ${WATCHED}`),
])
const Sentence = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    for (const [, name = ''] of text.matchAll(/\{([^}]*)\}/g))
      if (!PLACEHOLDERS.some((known) => known === name))
        context.addIssue({
          code: 'custom',
          message: `there is no {${name}}; there are ${PLACEHOLDERS.join(', ')}`,
        })
  })

const PROGRAM = {
  name: list(Glob).optional().describe('name of the program: the last part of its path'),
  is: list(z.enum(PROGRAM_KINDS)).optional().describe('what kind of program it is, by its name'),
  exe: list(Glob).optional().describe('path of the executable'),
  script: list(Glob).optional().describe("what an interpreter runs; '' for none"),
  file: list(Glob).optional().describe('path of the script, or of the executable when it runs none'),
  user: list(z.string()).optional().describe('name of the user, or its number'),
  container: list(Glob).optional().describe("id of the container; '' for the host itself"),
}
const Program = z.strictObject({ ...PROGRAM, not: z.strictObject(PROGRAM).optional() })
export type ProgramPattern = z.output<typeof Program>

const NAMED = {
  ...PROGRAM,
  path: list(Glob).optional().describe('of a file'),
  port: list(Port).optional().describe('of a peer'),
}
/** Hosts are left out: see RuleBook. */
const Named = z.strictObject({ ...NAMED, not: z.strictObject(NAMED).optional() })
const TARGET = {
  ...NAMED,
  host: list(z.union([z.enum(FAR_ENDS), Glob]))
    .optional()
    .describe('name or address of a peer'),
}
const Target = z.strictObject({ ...TARGET, not: z.strictObject(TARGET).optional() })
export type TargetPattern = z.output<typeof Target>

const SignalOrStatus = z.int().min(0).max(255)

const When = z.strictObject({
  kind: list(z.enum(EDGE_KINDS)).optional().describe('of an edge rule: what was done'),
  process: Program.optional().describe('who did it'),
  ancestor: Program.optional().describe('some process above'),
  target: Target.optional().describe('to what it was done'),
  unless: z
    .strictObject({ process: Program, ancestor: Program, target: Named })
    .partial()
    .optional()
    .describe('an exception: the rule is silent where all of this fits'),
  argv: list(compiled((text) => new Expression(text)))
    .optional()
    .describe('expressions over the arguments, joined by spaces; one of them has to match'),
  not_argv: list(compiled((text) => new Expression(text)))
    .optional()
    .describe('the same; none of them may match'),
  service: z.boolean().optional().describe('whether who did it takes connections, or is below one who does'),
  login: z.boolean().optional().describe('whether a login led to it'),
  mode: z
    .string()
    .regex(/^[0-7]{1,4}$/, 'expected an octal number in quotes')
    .optional()
    .describe('bits of which one was given to a file'),
  how: list(z.enum(['call', 'setuid-file', 'switcher', 'authentication']))
    .optional()
    .describe('of a root escalation'),
  status: list(SignalOrStatus).optional().describe('with which a process ended'),
  signal: list(SignalOrStatus).optional().describe('by which a process ended'),
})

const Skip = z.strictObject({
  commands: z.array(Word).default([]).describe('names of programs'),
  paths: z.array(PrefixOrGlob).default([]).describe('prefixes or globs of files and programs'),
  users: z.array(Word).default([]).describe('users'),
})
export type SkipPattern = z.output<typeof Skip>

const Severity = z.enum(SEVERITIES).nullable()

const Example = z.strictObject({
  kind: z.enum([...EDGE_KINDS, 'escalation', 'end', 'exec-failed']).optional(),
  from: z.string().startsWith('proc:').optional(),
  to: z.string().optional(),
  chain: z.array(z.string()).optional(),
  argv: z.array(z.string()).optional(),
  auid: z.int().min(0).optional(),
  mode: z.string().optional(),
  how: z.string().optional(),
  success: z.boolean().optional(),
  status: SignalOrStatus.optional(),
  signal: SignalOrStatus.optional(),
  log: z.string().optional(),
})
export type Example = z.output<typeof Example>

export const RULE_TYPES = ['bin-execution', 'root-escalation', 'termination-failure', 'edge'] as const

/** A rule as it is written. */
const Rule = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'expected small letters, digits and dashes'),
    type: z.enum(RULE_TYPES),
    title: Sentence.describe('one sentence for a person, on what happened'),
    severity: z.union([
      Severity,
      z.strictObject({ success: Severity.default(null), failure: Severity.default(null) }),
    ]),
    enabled: z.boolean().default(true),
    novel: z.boolean().default(false).describe('whether it is silent about what is normal here'),
    when: When.prefault({}),
    skip: Skip.prefault({}),
    reason: Sentence.describe('why that matters'),
    next: z.array(Sentence).min(1).describe('what to do, in order'),
    examples: z
      .strictObject({ match: z.array(Example).default([]), no_match: z.array(Example).default([]) })
      .prefault({}),
  })
  .superRefine(({ type, when }, context) => {
    const belongs = (key: keyof typeof when, to: (typeof RULE_TYPES)[number]): void => {
      if (when[key] !== undefined && type !== to)
        context.addIssue({ code: 'custom', path: ['when', key], message: `only rules of type ${to} have it` })
    }
    belongs('kind', 'edge')
    belongs('how', 'root-escalation')
    belongs('status', 'termination-failure')
    belongs('signal', 'termination-failure')
    if (type === 'edge' && when.kind === undefined)
      context.addIssue({
        code: 'custom',
        path: ['when'],
        message: 'a rule of type edge says which kinds it is about',
      })
  })
export type Rule = z.output<typeof Rule>

/** A file of rules. */
export const Rules = z.array(Rule)
